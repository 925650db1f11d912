from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pdstore.errors import StorageFailure, UsageError
from stages.exchange.outputs import RECORD, Parts, check_out, link, publish


def writing(text: str):
    def write(folder: Path) -> Counter[str]:
        (folder / "rows").write_text(text)
        return Counter({"rows": len(text)})

    return write


def test_a_block_that_is_written_is_used_again(tmp_path: Path) -> None:
    """The same request finds its blocks, with their counts, unless what they were made from has changed."""
    parts = Parts(tmp_path / "out.json", {"node": "a"})
    parts.begin()
    assert parts.tally(7, "x") is None
    assert parts.write(7, "x", writing("four")) == parts.tally(7, "x") == {"rows": 4}
    again = Parts(tmp_path / "out.json", {"node": "a"})
    again.begin()
    assert again.tally(7, "x") == {"rows": 4} and again.tally(7, "y") is None
    assert again.write(7, "y", writing("longer")) == again.tally(7, "y") == {"rows": 6}
    assert [path.name for path in parts.folder.iterdir() if path.is_dir()] == ["0000007"]


def test_parts_of_another_request_are_removed(tmp_path: Path) -> None:
    """Blocks of one condition never come into the output of another."""
    parts = Parts(tmp_path / "out.json", {"where": "true"})
    parts.begin()
    parts.write(0, "x", writing("old"))
    Parts(tmp_path / "out.json", {"where": "false"}).begin()
    assert parts.tally(0, "x") is None
    parts.write(0, "x", writing("old"))
    Parts(tmp_path / "out.json", {"where": "false"}).begin(reuse=False)
    assert parts.tally(0, "x") is None


def test_a_block_that_fails_is_not_there(tmp_path: Path) -> None:
    """Half a block is removed when the next run begins."""
    parts = Parts(tmp_path / "out.json", {})
    parts.begin()

    def fails(folder: Path) -> Counter[str]:
        (folder / "rows").write_text("ha")
        raise ValueError

    with pytest.raises(ValueError):
        parts.write(0, "x", fails)
    assert parts.tally(0, "x") is None
    parts.begin()
    assert [path.name for path in parts.folder.iterdir()] == [RECORD]


def test_an_output_that_exists_is_not_replaced_unasked(tmp_path: Path) -> None:
    """Nor is a folder that is no export, whatever is asked."""
    out, folder = tmp_path / "out.json", tmp_path / "out"
    check_out(out, is_folder=False, overwrite=False)
    out.write_text("kept")
    with pytest.raises(UsageError, match="the file exists already.*--overwrite"):
        check_out(out, is_folder=False, overwrite=False)
    check_out(out, is_folder=False, overwrite=True)
    with pytest.raises(UsageError, match="written as a folder, and there is a file"):
        check_out(out, is_folder=True, overwrite=True)
    with pytest.raises(UsageError, match="does not exist.*mkdir -p"):
        check_out(tmp_path / "no" / "out", is_folder=True, overwrite=True)
    folder.mkdir()
    check_out(folder, is_folder=True, overwrite=True)
    (folder / "thesis.txt").touch()
    with pytest.raises(UsageError, match="is not an export"):
        check_out(folder, is_folder=True, overwrite=True)
    (folder / RECORD).touch()
    check_out(folder, is_folder=True, overwrite=True)


def test_an_output_is_whole_or_as_it_was(tmp_path: Path) -> None:
    """A run that fails at the end leaves what was there, and no other file."""
    out = tmp_path / "out.json"
    out.write_text("kept")

    def fails(path: Path) -> None:
        path.write_text("ha")
        raise OSError("no space")

    with pytest.raises(StorageFailure, match="cannot be written .no space"):
        publish(out, fails)
    assert out.read_text() == "kept" and [path.name for path in tmp_path.iterdir()] == ["out.json"]
    publish(out, lambda path: path.write_text("new") and None)
    assert out.read_text() == "new"
    folder = tmp_path / "folder"
    for text in ("old", "new"):
        publish(folder, lambda path, text=text: path.mkdir() or (path / text).touch())
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "out.json"]


def test_a_linked_file_has_the_same_content(tmp_path: Path) -> None:
    """The file of a part stays where it is."""
    (tmp_path / "a").write_text("content")
    link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == "content"
