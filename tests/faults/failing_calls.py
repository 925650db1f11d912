"""Errors of the file system at a chosen call of this process: every call on a path in a store is counted.

Whatever is below :class:`pdstore.files.Files`, and whatever goes past it, ends in these functions of Python.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["FAULTS", "FailingCalls", "Fault"]

_ON_PATHS = ("stat", "lstat", "listdir", "scandir", "mkdir", "unlink", "remove", "replace", "rename", "link", "open")
_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        number: of the error. is_lasting: every later call fails as well. only_writing: calls that only read succeed.
        is_half: a file that is opened for writing takes half of the data first.
    """

    name: str
    number: int
    is_lasting: bool = False
    only_writing: bool = False
    is_half: bool = False


FAULTS = (
    Fault("an error of the disk", errno.EIO),
    Fault("a full disk", errno.ENOSPC, is_lasting=True, only_writing=True),
    Fault("a permission that is missing", errno.EACCES),
    Fault("a mount that has vanished", errno.ENOENT, is_lasting=True),
    Fault("half a file on a full disk", errno.ENOSPC, is_lasting=True, only_writing=True, is_half=True),
    Fault("a mount that has become read-only", errno.EROFS, is_lasting=True, only_writing=True),
    Fault("a server that has forgotten the file", errno.ESTALE),
)


class FailingCalls:
    """Counts the calls on paths below ``root``, and lets that of number ``at`` fail, from 0; None lets none fail.

    Attributes:
        count: of the calls. failed: what failed first, or "".
    """

    def __init__(self, root: str, fault: Fault | None = None, at: int | None = None) -> None:
        self.root, self.fault, self.at = root, fault, at
        self.count, self.failed = 0, ""
        self._lock, self._open, self._fsync = threading.Lock(), io.open, os.fsync

    def install(self) -> None:
        """For the rest of this process."""
        for name in _ON_PATHS:
            setattr(os, name, self._guarded(name, getattr(os, name)))
        os.fsync = self._guarded_fsync
        builtins.open = io.open = self._guarded_open  # type: ignore[assignment]

    def _guarded(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        reads = name in ("stat", "lstat", "listdir", "scandir")

        def guarded(*arguments: Any, **options: Any) -> Any:
            flags = arguments[1] if name == "open" and len(arguments) > 1 else 0
            path = arguments[0] if arguments else options.get("path", ".")
            if not options.get("dir_fd") and self._fails(name, path, reads or (name == "open" and not flags & _WRITE)):
                raise self._error(path)
            return call(*arguments, **options)

        return guarded

    def _guarded_fsync(self, descriptor: int) -> None:
        if self._fails("fsync", os.readlink(f"/proc/self/fd/{descriptor}"), False):
            raise self._error(None)
        self._fsync(descriptor)

    def _guarded_open(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        writes = any(letter in mode for letter in "wxa+")
        if not self._fails("write" if writes else "read", file, not writes):
            return self._open(file, mode, *arguments, **options)
        if self.fault is not None and self.fault.is_half and writes:
            raw = _Half(file, mode.replace("b", "").replace("t", ""), self._error(None))
            is_raw = "b" in mode and (arguments[:1] == (0,) or options.get("buffering") == 0)
            whole = raw if is_raw else io.BufferedWriter(raw)
            return whole if "b" in mode else io.TextIOWrapper(whole)  # type: ignore[type-var]
        raise self._error(file)

    def _fails(self, what: str, path: Any, reads: bool) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        text = os.path.abspath(os.fsdecode(path))
        if text != self.root and not text.startswith(f"{self.root}/"):
            return False
        with self._lock:
            number, self.count = self.count, self.count + 1
            if self.fault is None or self.at is None or number < self.at:
                return False
            if (self.fault.only_writing and reads) or (self.failed and not self.fault.is_lasting):
                return False
            self.failed = self.failed or f"{what} {text}"
            return True

    def _error(self, path: Any) -> OSError:
        assert self.fault is not None
        number = self.fault.number
        return OSError(number, os.strerror(number)) if path is None else OSError(number, os.strerror(number), str(path))


class _Half(io.FileIO):
    """A file that takes the first half of what is written, and then fails."""

    def __init__(self, path: Any, mode: str, error: OSError) -> None:
        super().__init__(path, mode)
        self._error, self._is_full = error, False

    def write(self, data: Any) -> int:
        if not self._is_full:
            self._is_full = True
            super().write(bytes(data)[: len(data) // 2])
        raise self._error
