"""Files of a local folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pdstore.files import local


def test_a_range_ends_with_the_file(tmp_path: Path) -> None:
    """A range within the file is read alone; of one that goes on behind it, what there is."""
    path = tmp_path / "a"
    path.write_bytes(bytes(range(100)))
    assert local.read_range(str(path), 10, 14) == bytes(range(10, 14))
    assert local.read_range(str(path), 90, 200) == bytes(range(90, 100))
    assert local.read_range(str(path), 200, 300) == b""


def test_a_made_folder_names_those_that_have_to_be_synced(tmp_path: Path) -> None:
    """Each folder that got a new name in it; none if everything is there."""
    deep = tmp_path / "a" / "b"
    assert local.make_folder(str(deep)) == {str(tmp_path), str(tmp_path / "a")}
    assert local.make_folder(str(deep)) == set()


def test_what_cannot_be_put_in_its_place_leaves_nothing(tmp_path: Path) -> None:
    """A file takes the place of another; over a folder it cannot be put, and no temporary file is left."""
    for data in (b"1", b"22"):
        local.replace_file(str(tmp_path / "a"), data)
        assert (tmp_path / "a").read_bytes() == data
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        local.replace_file(str(tmp_path / "folder"), b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "folder"]


def test_every_folder_of_new_files_is_synced_after_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once per folder, parents that got a new name included, and not before the last file is there."""
    synced: list[str] = []
    files = {str(tmp_path / "a" / "1"): b"1", str(tmp_path / "a" / "b" / "2"): b"22"}

    def sync(folder: str) -> None:
        assert all(os.path.exists(path) for path in files)
        synced.append(folder)

    monkeypatch.setattr(local, "sync_folder", sync)
    local.write_all(files)
    assert synced == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    assert [Path(path).read_bytes() for path in files] == [b"1", b"22"]


def test_what_cannot_be_known_is_not_taken_for_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there, or below a file, does not exist; a server that does not answer says nothing of it."""
    (tmp_path / "a").write_bytes(b"123")
    assert local.exists_local(str(tmp_path / "a")) and local.exists_local(str(tmp_path))
    assert not local.exists_local(str(tmp_path / "b")) and not local.exists_local(str(tmp_path / "a" / "b"))

    def stale(path: str, **options: object) -> os.stat_result:
        raise OSError(errno.ESTALE, "stale file handle", path)

    monkeypatch.setattr(os, "stat", stale)
    with pytest.raises(OSError, match="stale"):
        local.exists_local(str(tmp_path / "a"))


def test_sizes_are_those_of_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a folder, or of a file alone; there is nothing in a folder that is gone, and a closed one is named."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    for path in ("a/1", "a/b/22"):
        (tmp_path / path).write_bytes(b"x" * len(path))
    assert local.sizes_below(str(tmp_path)) == {str(tmp_path / "a/1"): 3, str(tmp_path / "a/b/22"): 6}
    assert local.sizes_below(str(tmp_path / "a/1")) == {str(tmp_path / "a/1"): 3}
    assert local.sizes_below(str(tmp_path / "gone")) == {}

    def closed(path: str) -> object:
        raise PermissionError(errno.EACCES, "closed", path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(PermissionError, match="closed"):
        local.sizes_below(str(tmp_path))


def test_a_file_system_that_syncs_no_folders_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers that the call means nothing to it; any other answer is an error."""
    answers = iter([errno.EINVAL, errno.EIO])

    def answer(descriptor: int) -> None:
        raise OSError(next(answers), "no")

    monkeypatch.setattr(os, "fsync", answer)
    local.sync_folder(str(tmp_path))
    with pytest.raises(OSError, match="no"):
        local.sync_folder(str(tmp_path))
