"""All image files under a folder. Links are followed or refused by name: no image is left out in silence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from pdstore.errors import StorageFailure, UsageError
from stages.create.shape import split_of
from stages.source.tars import Member, is_tar, list_members

__all__ = ["SUFFIXES", "Tell", "check_links", "find_images", "ignore"]

Tell = Callable[[str], None]
SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm"}
_SYSTEM = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "#recycle", "System Volume Information", "lost+found"}
"""Folders that operating systems and network disks write. Names that begin with a dot are theirs, too."""
_PACKED = (".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".rar", ".7z")
_FOLLOW = "If that is right, say so with --follow-links; otherwise remove the link"


def ignore(sentence: str) -> None:
    """A :data:`Tell` for callers that do not speak to anybody."""


def find_images(
    root: Path, follow_links: bool, members: list[Member] | None = None, tell: Tell = ignore
) -> Iterator[tuple[str, list[str]]]:
    """(folder, names of the images in it) of every folder, in order; "" is the root.

    A tar file counts as a folder of its name without ``.tar``, unless that folder is there, too: then it is left out.

    Args:
        root: a folder or a tar file.
        members: gets the images that lie in tar files.
        tell: is called with a sentence about each tar file that is left out.

    Raises:
        UsageError: a link leads out of the root although ``follow_links`` is off, to a folder that is read anyway, or
            to nothing.
        StorageFailure: a folder cannot be read.
    """
    home = Path(os.path.realpath(root))
    walker = _Walker(home, follow_links, [] if members is None else members, tell)
    yield from walker.unpacked(root, "", "") if root.is_file() else walker.walk(root, "")


class _Walker:
    def __init__(self, home: Path, follow_links: bool, members: list[Member], tell: Tell) -> None:
        self.home, self.follow_links, self.members, self.tell = home, follow_links, members, tell
        self.seen: dict[tuple[int, int], str] = {}
        """(device, inode) of each folder that was read -> its path."""

    def walk(self, path: Path, inside: str) -> Iterator[tuple[str, list[str]]]:
        self._enter(path, inside)
        folders: list[str] = []
        images: list[str] = []
        tars: list[str] = []
        packed: list[str] = []
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
            elif is_tar(entry.name):
                tars.append(entry.name)
            elif entry.name.lower().endswith(_PACKED):
                packed.append(entry.name)
        if packed:
            where = f"in {inside}, " if inside else ""
            self.tell(
                f"left out: {len(packed)} compressed archives ({where}such as {packed[0]}); unpack them to use them"
            )
        yield inside, images
        for name in tars:
            twin = _twin(name[: -len(".tar")], folders)
            tar = f"{inside}/{name}" if inside else name
            if twin:
                self.tell(f"left out: {tar}, because the folder {twin} beside it seems to be its content")
            else:
                yield from self.unpacked(path / name, tar[: -len(".tar")], tar)
        for name in folders:
            yield from self.walk(path / name, f"{inside}/{name}" if inside else name)

    def unpacked(self, path: Path, inside: str, tar: str) -> Iterator[tuple[str, list[str]]]:
        """The folders in a tar file."""
        folders: dict[str, list[str]] = {}
        for member in list_members(path, tar):
            folder, _, name = member.key.rpartition("/")
            names = PurePosixPath(member.key).relative_to(inside).parts
            is_image = os.path.splitext(name)[1].lower() in SUFFIXES
            if is_image and not any(part.startswith(".") or part in _SYSTEM for part in names):
                if member.size < 0:
                    raise UsageError(f"{member.key} is a link in a tar file", str(path), "Unpack the tar file")
                self.members.append(member)
                folders.setdefault(folder, []).append(name)
        yield from folders.items()

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


def _twin(name: str, folders: list[str]) -> str:
    """The folder that a tar file was unpacked into, if it lies beside it: the same name, or the same split."""
    split = split_of(name)
    return next((folder for folder in folders if folder == name or (split and split_of(folder) == split)), "")


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
