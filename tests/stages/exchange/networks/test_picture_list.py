"""Which pictures a command line names."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdstore.errors import UsageError
from stages.exchange.networks.picture_list import list_pictures


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five image files, one file that is none, and an empty folder; the current folder."""
    for name in ("a/1.jpg", "a/b/2.PNG", "a/b/note.txt", "c/3.jpeg", "c/4.webp", "odd.dat"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*words: str) -> list[str]:
    return [one.name for one in list_pictures(words)]


def test_folders_files_and_patterns(folder: Path) -> None:
    """All images below a folder, a file of any name, and what a pattern matches, by its path below the shared one."""
    assert names("a") == ["1.jpg", "b/2.PNG"]
    assert names("odd.dat", str(folder / "c")) == ["odd.dat", "3.jpeg", "4.webp"]
    assert names("**/[1-3].*") == ["a/1.jpg", "a/b/2.PNG", "c/3.jpeg"]
    assert [one.folder for one in list_pictures(["a/b/2.PNG", "c"])] == ["b", "c", "c"]


def test_a_file_counts_once(folder: Path) -> None:
    """However often and in whatever way it is named; the first way gives its name."""
    assert names("a", "a/b/2.PNG", str(folder / "a" / "1.jpg"), "a/*.jpg") == ["1.jpg", "b/2.PNG"]


def test_two_files_with_one_name_are_refused(folder: Path) -> None:
    """Their results would be one."""
    (folder / "c" / "1.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match=r"a/1.jpg and c/1.jpg have the same name.*folder that holds both"):
        names("a", "c")
    assert len(names(".")) == 5


def test_what_is_not_there_is_refused(folder: Path) -> None:
    """A file, a pattern without a match, one that matches no image, and a folder without images."""
    for word in ("missing.jpg", "x/*.jpg", "a/b/*.txt"):
        with pytest.raises(UsageError, match="no image file has this name"):
            names(word)
    with pytest.raises(UsageError, match="the folder has no image files"):
        names("empty")
