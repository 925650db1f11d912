"""Files that stand in the place of weights and are something else: a pointer, a web page, nothing at all."""

from __future__ import annotations

from pathlib import Path

from pdstore.errors import CorruptData

__all__ = ["refuse_not_weights"]

_LFS = b"version https://git-lfs.github.com/spec/"
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--")
_FETCH = "Fetch the file itself with git lfs pull, or download it from its publisher"
_DOWNLOAD = "Download the file itself: its page has a link to it (on the hub: 'resolve' in place of 'blob')"


def refuse_not_weights(path: Path) -> None:
    """Raise CorruptData if a file is a Git LFS pointer, a web page or empty, and say which. Reads a few bytes."""
    with path.open("rb") as file:
        start = file.read(1024)
    if start.startswith(_LFS):
        size = next((line[5:].decode() for line in start.splitlines() if line.startswith(b"size ")), "")
        what = f" of {int(size):,} bytes" if size.isdigit() else ""
        raise CorruptData(f"this is a Git LFS pointer to a file{what}, not the file itself", str(path), _FETCH)
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGES):
        raise CorruptData("this is a web page, not a file of weights", str(path), _DOWNLOAD)
    if not start:
        raise CorruptData("the file is empty", str(path), "Download it again")
