"""Writing the file that --out names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.files import check_place, write_whole
from pdstore.errors import StorageFailure, UsageError


def test_a_new_and_an_existing_file_are_places(tmp_path: Path) -> None:
    """A check creates nothing and changes nothing."""
    (tmp_path / "old.png").write_bytes(b"old")
    check_place(tmp_path / "old.png")
    check_place(tmp_path / "new.png")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("old.png", b"old")]


def test_a_folder_is_not_a_place(tmp_path: Path) -> None:
    """The error names the folder and a file in it."""
    with pytest.raises(UsageError, match="expected a file, found a folder") as caught:
        check_place(tmp_path)
    assert caught.value.where == f"--out {tmp_path}" and f"--out {tmp_path / 'FILE'}" in caught.value.fix


def test_a_missing_folder_is_not_a_place(tmp_path: Path) -> None:
    """The error names the missing folder and the command that creates it."""
    out = tmp_path / "a" / "b" / "page.html"
    with pytest.raises(UsageError, match=f"the folder {out.parent} does not exist") as caught:
        check_place(out)
    assert caught.value.fix == f"Create it first: mkdir -p {out.parent}"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The new content replaces the old, and no temporary file remains."""
    out = tmp_path / "page.html"
    out.write_bytes(b"a longer old page")
    write_whole(out, b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("page.html", b"new")]


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """The error has exit code 1 and says why; neither a temporary file nor a damaged target remains."""
    (tmp_path / "taken").mkdir()
    for out, reason in ((tmp_path / "taken", "Is a directory"), (tmp_path / "none" / "x", "No such file")):
        with pytest.raises(StorageFailure, match=rf"the file cannot be written \(.*{reason}") as caught:
            write_whole(out, b"new")
        assert caught.value.where == f"--out {out}" and caught.value.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"] and not list((tmp_path / "taken").iterdir())
