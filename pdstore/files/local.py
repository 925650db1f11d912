"""Files of a local folder: written so that a power cut leaves a file whole or absent."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Mapping

from pdstore import layout

__all__ = [
    "exists_local",
    "make_folder",
    "read_local",
    "read_range",
    "replace_file",
    "sizes_below",
    "sync_folder",
    "temporary_beside",
    "write_all",
    "write_beside",
    "write_synced",
]

_NO_SYNC = {errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
"""What file systems answer that keep no names back, and so have nothing to sync in a folder."""


def exists_local(path: str) -> bool:
    """Whether a file exists. Raises OSError if that cannot be known, as in a folder that may not be entered."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def sizes_below(folder: str) -> dict[str, int]:
    """Path -> size in bytes, for every file below a folder. Raises OSError if a folder cannot be listed."""
    found: dict[str, int] = {}
    for place, _, names in os.walk(folder, onerror=_raise_unless_gone):
        for name in names:
            path = os.path.join(place, name)
            with contextlib.suppress(FileNotFoundError):
                found[path] = os.stat(path).st_size
    if not found and os.path.isfile(folder):
        found[folder] = os.stat(folder).st_size
    return found


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def read_local(path: str) -> bytes:
    """A file's bytes."""
    # Not by fsspec, which takes longer to open a small file than to read it.
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def read_range(path: str, start: int, stop: int | None) -> bytes:
    """The bytes from ``start`` to ``stop``, or to the end of the file; fewer if it ends before."""
    # Unbuffered: a buffer would read on, past the end of the range.
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        if stop is None:
            return file.read()
        found = file.read(stop - start)
        while len(found) < stop - start and (more := file.read(stop - start - len(found))):
            found += more
    return found


def write_synced(path: str, data: bytes) -> None:
    """Write a file whose content is on the disk when this returns; its name is so after :func:`sync_folder`."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def make_folder(folder: str) -> set[str]:
    """Make a folder and its parents. Returns those in which a name was made, to be synced before a commit needs it."""
    if os.path.isdir(folder):
        return set()
    parent = os.path.dirname(folder)
    changed = make_folder(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
    return changed | {parent}


def sync_folder(folder: str) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def write_all(files: Mapping[str, bytes]) -> None:
    """Write files at full paths, of which none is needed before all of them are there: each folder is synced once."""
    folders = {os.path.dirname(path) for path in files}
    changed = folders.union(*map(make_folder, sorted(folders)))
    for path, data in files.items():
        write_synced(path, data)
    for folder in sorted(changed):
        sync_folder(folder)


def temporary_beside(path: str) -> str:
    """The path of a temporary file in the folder of ``path``, which is made, and on the disk, if it is not there."""
    folder = os.path.dirname(path)
    for parent in make_folder(folder):
        sync_folder(parent)
    return os.path.join(folder, f"{layout.TEMPORARY}{secrets.token_hex(6)}")


def write_beside(path: str, data: bytes) -> str:
    """Write a temporary file into the folder of ``path``, which is made if it is not there. Returns its path."""
    temporary = temporary_beside(path)
    try:
        write_synced(temporary, data)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return temporary


def replace_file(path: str, data: bytes) -> None:
    """Write or replace a file, whole or not at all; what cannot be put in its place leaves no temporary file."""
    temporary = write_beside(path, data)
    try:
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
