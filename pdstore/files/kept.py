"""What was fetched from an object store, kept in the user's cache folder, so that it is fetched once.

Only objects that never change are kept, each under a key that names its store, its path and what it holds. A file in
the cache begins with the sha256 of what follows, so that what rots there is fetched again. Deleting it loses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from pdstore.files.local import replace_file

__all__ = ["CACHE", "KeptFiles", "cache_folder"]

CACHE = "PD_CACHE"
"""The environment variable that names another folder; ``off`` keeps nothing."""
LIMIT_BYTES = 4 << 30
"""Of all stores together; what was used longest ago goes first."""
_LOOKED_EVERY_S = 24 * 3600.0
_DIGEST_BYTES = 32
_SWEPT = ".swept"


def cache_folder() -> Path | None:
    """Where the user's caches of remote stores lie; None if none are wanted, or the user has no home."""
    named = os.environ.get(CACHE, "")
    if named == "off":
        return None
    if named:
        return Path(named)
    with contextlib.suppress(RuntimeError):
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pdstore"
    return None


class KeptFiles:
    """The objects of one store that are kept on this machine.

    Args:
        store: the URL of the store, and whatever else tells it from another of the same URL.
    """

    def __init__(self, store: str) -> None:
        base = cache_folder()
        self.folder = None if base is None else base / hashlib.sha256(store.encode()).hexdigest()[:24]

    def get(self, key: str, fetch: Callable[[], bytes]) -> bytes:
        """What is kept under ``key``; otherwise it is fetched, and kept if that is possible."""
        found = self.find(key)
        return self.put(key, fetch()) if found is None else found

    def find(self, key: str) -> bytes | None:
        """What is kept under ``key``; None if nothing is, or if it is damaged."""
        path = self._path(key)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data[_DIGEST_BYTES:]).digest() != data[:_DIGEST_BYTES]:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return data[_DIGEST_BYTES:]

    def put(self, key: str, data: bytes) -> bytes:
        """Keep ``data``, which is returned. Without space or permission it is not kept."""
        path = self._path(key)
        if path is not None:
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                replace_file(str(path), hashlib.sha256(data).digest() + data)
                _sweep(path.parent.parent)
        return data

    def plain(self, key: str, name: str, sha256: str, size: int, fetch: Callable[[], bytes]) -> str | None:
        """The path of a file with exactly these bytes, for programs that read files; None if it cannot be kept.

        Args:
            name: the end of its name.

        Raises:
            ValueError: what was fetched has another sha256.
        """
        base = self._path(key)
        if base is None:
            return None
        path, noted = base.with_name(f"{base.name}.{name}"), f"sound {key} {sha256}"
        try:
            if self.find(noted) == _stamp(path):
                os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
                return str(path)
        except OSError:
            pass
        data = fetch()
        if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError("content differs from what was written (sha256)")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(str(path), data)
            self.put(noted, _stamp(path))
        except OSError:
            return None
        return str(path)

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / hashlib.sha256(key.encode()).hexdigest()


def _stamp(path: Path) -> bytes:
    """Size and time of the last change of a file."""
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}".encode()


def _sweep(base: Path) -> None:
    """Once a day: remove what was used longest ago, as far as all stores together have more than is allowed."""
    note = base / _SWEPT
    with contextlib.suppress(OSError):
        if time.time() - note.stat().st_mtime < _LOOKED_EVERY_S:
            return
    note.touch()
    found = sorted((s.st_atime, s.st_size, path) for path in base.glob("*/*") for s in [path.stat()])
    over = sum(size for _, size, _ in found) - LIMIT_BYTES
    for _, size, path in found:
        if over <= 0:
            return
        path.unlink(missing_ok=True)
        over -= size
