"""All image files under a folder. Links are followed or refused by name: no image is left out in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pdstore.errors import StorageFailure, UsageError

__all__ = ["SUFFIXES", "check_links", "find_images"]

SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm"}
_SYSTEM = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "#recycle", "System Volume Information", "lost+found"}
"""Folders that operating systems and network disks write. Names that begin with a dot are theirs, too."""
_FOLLOW = "If that is right, say so with --follow-links; otherwise remove the link"


def find_images(root: Path, follow_links: bool) -> Iterator[tuple[str, list[str]]]:
    """(folder, names of the images in it) of every folder, in order; "" is the root.

    Raises:
        UsageError: a link leads out of the root although ``follow_links`` is off, to a folder that is read anyway, or
            to nothing.
        StorageFailure: a folder cannot be read.
    """
    home = Path(os.path.realpath(root))
    walker = _Walker(home, follow_links)
    yield from walker.walk(root, "")


class _Walker:
    def __init__(self, home: Path, follow_links: bool) -> None:
        self.home, self.follow_links = home, follow_links
        self.seen: dict[tuple[int, int], str] = {}
        """(device, inode) of each folder that was read -> its path."""

    def walk(self, path: Path, inside: str) -> Iterator[tuple[str, list[str]]]:
        self._enter(path, inside)
        folders: list[str] = []
        images: list[str] = []
        for entry in self._entries(path):
            if entry.name.startswith(".") or entry.name in _SYSTEM:
                continue
            is_image = os.path.splitext(entry.name)[1].lower() in SUFFIXES
            if entry.is_symlink():
                self._check_link(entry, is_image)
            if entry.is_dir():
                folders.append(entry.name)
            elif is_image:
                images.append(entry.name)
        yield inside, images
        for name in folders:
            yield from self.walk(path / name, f"{inside}/{name}" if inside else name)

    def _entries(self, path: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(path) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            fix = "Check its permissions, or move it away"
            raise StorageFailure(f"this folder cannot be read: {error.strerror!s}", str(path), fix) from error

    def _enter(self, path: Path, inside: str) -> None:
        """Note a folder. One that was read before is a cycle, or images that would be taken twice."""
        status = path.stat()
        first = self.seen.setdefault((status.st_dev, status.st_ino), inside)
        if first != inside:
            other = f"the folder {first}" if first else "the image folder itself"
            problem = f"{inside} is {other} under another name, so its images would be taken twice"
            raise UsageError(problem, str(path), "Remove the link")

    def _check_link(self, entry: os.DirEntry[str], is_image: bool) -> None:
        """Refuse a link that leads to nothing, or out of the root. Links to files that are no images do not matter."""
        target = Path(os.path.realpath(entry.path))
        if not target.exists():
            if not is_image:
                fix = "Mount the disk that it leads to, or remove the link"
                raise UsageError(f"the link leads to {target}, where there is nothing", entry.path, fix)
        elif not is_image and not target.is_dir():
            return
        if not self.follow_links and not target.is_relative_to(self.home):
            raise UsageError(f"the link leads out of the image folder, to {target}", entry.path, _FOLLOW)


def check_links(root: Path, keys: Iterator[str]) -> None:
    """Refuse keys whose file lies outside of the root, behind a link.

    Cost: one look at the disk per key and per folder.
    """
    home, known = Path(os.path.realpath(root)), set()
    for key in keys:
        folder = root / PurePosixPath(key).parent
        path = root / key
        is_new = folder not in known
        known.add(folder)
        for place in ([folder] if is_new else []) + ([path] if path.is_symlink() else []):
            target = Path(os.path.realpath(place))
            if not target.is_relative_to(home):
                raise UsageError(f"{key} lies behind a link out of the image folder, to {target}", str(root), _FOLLOW)
