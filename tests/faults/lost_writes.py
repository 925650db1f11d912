"""What a power cut leaves of a store: a recording of what was done to its files, and the disks that may result.

The file system that is assumed keeps no promise beyond those of POSIX: a file has the content of its last fsync, or
none; a name is in a folder for certain once the folder was synced since; of the names that were changed later any may
have arrived, in any combination. What real ones keep in order (ext4, XFS) is one of these cases.
"""

from __future__ import annotations

import builtins
import io
import os
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Change", "Event", "Lost", "Recording", "Sync", "disk_after"]

_FOLDER = -1


@dataclass(frozen=True)
class Change:
    """Names in a folder that change at once: name -> number of a file, _FOLDER, or None if the name is gone."""

    folder: str
    names: Mapping[str, int | None]


@dataclass(frozen=True)
class Sync:
    """The names of a folder, or the content of a file, are on the disk.

    Attributes:
        data: of the file ``number``. folder: None for a file.
    """

    folder: str | None = None
    number: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class Lost:
    """The content of file ``number`` is overwritten in place: until it is synced again nothing of it is certain."""

    number: int


Event = Change | Sync | Lost


@dataclass
class Recording:
    """What this process does below ``root``, in order.

    Attributes:
        reports: (number of events before it, what was reported): what a user was told is done.
    """

    root: str
    events: list[Event] = field(default_factory=list)
    reports: list[tuple[int, Any]] = field(default_factory=list)
    _now: dict[str, int] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.RLock)
    _count: int = 0

    def report(self, what: Any) -> None:
        with self._lock:
            self.reports.append((len(self.events), what))

    def install(self) -> None:
        """For the rest of this process."""
        for name, noted in (("mkdir", self._made), ("unlink", self._removed), ("remove", self._removed)):
            setattr(os, name, self._wrapped(getattr(os, name), noted))
        for name in ("replace", "rename"):
            setattr(os, name, self._wrapped(getattr(os, name), self._renamed))
        os.link = self._wrapped(os.link, self._linked)
        os.rmdir = self._wrapped(os.rmdir, self._removed)
        self._real_open, real_fsync = io.open, os.fsync
        builtins.open = io.open = self._opened  # type: ignore[assignment]

        def fsync(descriptor: int) -> None:
            with self._lock:
                real_fsync(descriptor)
                self._synced(os.readlink(f"/proc/self/fd/{descriptor}"))

        os.fsync = fsync

    def _wrapped(self, call: Callable[..., Any], noted: Callable[..., None]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                answer = call(*arguments, **options)
                noted(*(os.path.abspath(os.fsdecode(a)) for a in arguments if isinstance(a, str | bytes | os.PathLike)))
                return answer

        return wrapped

    def _opened(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if not isinstance(file, str | os.PathLike) or not any(letter in mode for letter in "wxa"):
            return self._real_open(file, mode, *arguments, **options)
        path = os.path.abspath(os.fspath(file))
        with self._lock:
            answer = self._real_open(file, mode, *arguments, **options)
            if path in self._now and "w" in mode:
                self.events.append(Lost(self._now[path]))
            elif path not in self._now:
                self._count += 1
                self._change(path, self._count)
        return answer

    def _made(self, path: str) -> None:
        self._change(path, _FOLDER)

    def _removed(self, path: str) -> None:
        if path in self._now:
            self._change(path, None)

    def _linked(self, source: str, target: str) -> None:
        if source in self._now:
            self._change(target, self._now[source])

    def _renamed(self, source: str, target: str) -> None:
        if source not in self._now:
            return  # written by DuckDB, and only a cache
        number, folder = self._now.pop(source), os.path.dirname(source)
        assert folder == os.path.dirname(target), "a file is renamed within its folder only"
        self._now[target] = number
        self.events.append(Change(folder, {os.path.basename(source): None, os.path.basename(target): number}))

    def _change(self, path: str, number: int | None) -> None:
        if path != self.root and not path.startswith(f"{self.root}/"):
            return
        if number is None:
            del self._now[path]
        else:
            self._now[path] = number
        self.events.append(Change(os.path.dirname(path), {os.path.basename(path): number}))

    def _synced(self, path: str) -> None:
        if os.path.isdir(path):
            self.events.append(Sync(folder=path))
        elif path in self._now:
            self.events.append(Sync(number=self._now[path], data=Path(path).read_bytes()))


def disk_after(events: Iterable[Event], root: str, place: Path, chance: random.Random, share: float) -> None:
    """Write to ``place`` what a power cut may leave of ``root`` after these events.

    Args:
        share: the chance that a name arrived without being synced, from 0 to 1.
    """
    certain: dict[str, dict[str, int]] = {}
    pending: dict[str, list[Change]] = {}
    data: dict[int, bytes] = {}
    for event in events:
        if isinstance(event, Change):
            pending.setdefault(event.folder, []).append(event)
        elif isinstance(event, Lost):
            data.pop(event.number, None)
        elif event.folder is None:
            data[event.number] = event.data
        else:
            for change in pending.pop(event.folder, []):
                _apply(certain.setdefault(event.folder, {}), change)
    for folder, changes in pending.items():
        for change in changes:
            if chance.random() < share:
                _apply(certain.setdefault(folder, {}), change)
    if os.path.basename(root) in certain.get(os.path.dirname(root), {}):
        _write(certain, data, root, place)


def _apply(names: dict[str, int], change: Change) -> None:
    for name, number in change.names.items():
        if number is None:
            names.pop(name, None)
        else:
            names[name] = number


def _write(certain: Mapping[str, Mapping[str, int]], data: Mapping[int, bytes], folder: str, place: Path) -> None:
    place.mkdir()
    for name, number in certain.get(folder, {}).items():
        if number == _FOLDER:
            _write(certain, data, f"{folder}/{name}", place / name)
        else:
            # What was never synced has its length at best, and no content.
            (place / name).write_bytes(data.get(number, b""))
