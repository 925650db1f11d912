"""Giving a written file its name only if nobody has the name, on file systems with and without hard links.

A commit is such a step: of two workers one wins, and the file is there whole or not at all, whenever the power fails.
A hard link does it everywhere where there are hard links. exFAT, FAT, and some network and user-space file systems have
none; there Linux renames without replacing (``renameat2``). A file system with neither cannot hold a store.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
from collections.abc import Callable
from functools import cache
from typing import Any

from pdstore import layout
from pdstore.errors import StorageFailure
from pdstore.files.local import sync_folder, write_beside

__all__ = ["NEITHER", "create_file", "link_or_copy", "name_new", "ways_to_create"]

NEITHER = "the file system has neither hard links nor renames that replace nothing, so commits are not safe there"
FIX = "Keep the store on another file system, such as ext4, XFS, Btrfs or NFS, or in an object store"
LINK, RENAME = "hard link", "rename that replaces nothing"
_LACKING = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.EMLINK}
"""What file systems without hard links, or without such renames, answer."""
_NO_REPLACE, _HERE = 1, -100


def name_new(temporary: str, path: str) -> bool:
    """Give a temporary file the name ``path``, unless that exists. False if it does; the file then stays as it is.

    The temporary name may be left; whoever made it removes it.

    Raises:
        StorageFailure: the file system has no way to do so.
        OSError: it refuses for another reason.
    """
    for way in _WAYS.values():
        try:
            way(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _LACKING:
                raise
        else:
            return True
    raise StorageFailure(NEITHER, path, FIX)


def create_file(path: str, data: bytes) -> bool:
    """Write a file that does not exist yet, whole and on the disk. False if it exists; it then stays as it is."""
    temporary = write_beside(path, data)
    try:
        is_new = name_new(temporary, path)
    finally:
        # One that cannot be removed is left to gc.
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    # Also if another was first: whoever is told that the file exists relies on it.
    sync_folder(os.path.dirname(path))
    return is_new


def ways_to_create(folder: str) -> tuple[str, ...]:
    """Which of the two ways the file system of a folder has; :func:`name_new` takes the first. Leaves nothing there.

    Raises:
        OSError: nothing can be written there.
    """
    found = []
    for name, way in _WAYS.items():
        temporary = os.path.join(folder, f"{layout.TEMPORARY}{secrets.token_hex(6)}")
        target = f"{temporary}.new"
        try:
            with open(temporary, "xb"):
                pass
            with contextlib.suppress(OSError):
                way(temporary, target)
                found.append(name)
        finally:
            for leftover in (temporary, target):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(leftover)
    return tuple(found)


def link_or_copy(source: str, target: str) -> None:
    """A second name for a file; where there are no hard links, a copy of it."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _LACKING:
            raise
        # Imported here: almost never needed.
        import shutil

        shutil.copyfile(source, target)
        with open(target, "rb") as file:
            os.fsync(file.fileno())


def _link(source: str, target: str) -> None:
    os.link(source, target)


def _rename(source: str, target: str) -> None:
    call = _renameat2()
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), target)
    if call(_HERE, os.fsencode(source), _HERE, os.fsencode(target), _NO_REPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


@cache
def _renameat2() -> Any:
    """The function of the C library, or None where it has none (macOS, glibc before 2.28)."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is not None:
        call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return call


_WAYS: dict[str, Callable[[str, str], None]] = {LINK: _link, RENAME: _rename}
