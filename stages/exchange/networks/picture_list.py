"""The pictures that a command line names: files, folders and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pdstore.errors import UsageError
from stages.create.walk import SUFFIXES, find_images

__all__ = ["PictureFile", "list_pictures"]


@dataclass(frozen=True)
class PictureFile:
    """An image file.

    Attributes:
        path: where it lies.
        name: its path below the folder that was named, with ``/``; of a single file, its name.
    """

    path: Path
    name: str

    @property
    def folder(self) -> str:
        """The name of the folder that it lies in, such as that of its class."""
        return self.path.absolute().parent.name


def list_pictures(words: Sequence[str]) -> list[PictureFile]:
    """The pictures in the order of the words, those of a folder by name; a file that is named twice counts once.

    Args:
        words: files (of any name), folders (all image files below them, but none behind a link), and patterns such as
            ``photos/**/*.jpg``, if no file has that name.

    Raises:
        UsageError: a word names nothing, a folder has no pictures, or two files would have the same name in a result.
    """
    found: dict[str, PictureFile] = {}
    names: dict[str, PictureFile] = {}
    for picture in (one for word in words for one in _pictures(word)):
        if found.setdefault(os.path.abspath(picture.path), picture) is not picture:
            continue
        other = names.setdefault(picture.name, picture)
        if other is not picture:
            fix = "Name a folder that holds both"
            raise UsageError(f"{other.path} and {picture.path} have the same name", picture.name, fix)
    return list(found.values())


def _pictures(word: str) -> Iterable[PictureFile]:
    path = Path(word)
    if path.is_dir():
        return _below(path)
    if path.is_file():
        return [PictureFile(path, path.name)]
    matches = sorted(glob.glob(word, recursive=True))
    pictures = [p for match in matches for p in ([Path(match)] if Path(match).suffix.lower() in SUFFIXES else [])]
    if not pictures:
        fix = "Name image files, folders or a pattern such as 'photos/*.jpg'"
        raise UsageError("no image file has this name", word, fix)
    shared = Path(os.path.commonpath([str(picture.parent) for picture in pictures]) or ".")
    return [PictureFile(picture, picture.relative_to(shared).as_posix()) for picture in pictures]


def _below(folder: Path) -> Iterator[PictureFile]:
    is_empty = True
    for inside, names in find_images(folder, False):
        for name in names:
            is_empty = False
            key = f"{inside}/{name}" if inside else name
            yield PictureFile(folder / key, key)
    if is_empty:
        kinds = ", ".join(sorted(SUFFIXES))
        raise UsageError("the folder has no image files", str(folder), f"Their names end in {kinds}")
