"""A disk of a few kilobytes that only this process sees: a tmpfs in a mount namespace of its own."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import tempfile

from tests.forks import in_process

__all__ = ["can_mount", "mount_small_disk", "unmount"]

_NEW_MOUNTS, _NEW_USER, _PRIVATE, _DETACH = 0x20000, 0x10000000, 0x44000, 2


def mount_small_disk(folder: str, size: int) -> None:
    """In this process, which has one thread and ends soon. Raises OSError if that is not permitted."""
    user, group, library = os.getuid(), os.getgid(), ctypes.CDLL(None, use_errno=True)
    _done(library.unshare(_NEW_MOUNTS if user == 0 else _NEW_MOUNTS | _NEW_USER))
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _done(library.mount(b"none", b"/", None, ctypes.c_ulong(_PRIVATE), None))
    options = f"size={size}".encode()
    _done(library.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(0), options))


def unmount(folder: str) -> None:
    """As if the disk were pulled out: files that are open stay readable, and no path leads to it any more."""
    _done(ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(folder), _DETACH))


def _done(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@functools.cache
def can_mount() -> bool:
    """Whether this machine permits it."""
    if platform.system() != "Linux":
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            in_process(mount_small_disk, folder, 1 << 16)
        except OSError:
            return False
    return True
