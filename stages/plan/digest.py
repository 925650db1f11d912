"""Digests of the files that settings name, as they go into a fingerprint."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from pdstore.fingerprint import digest
from stages.models.sources import is_hub_name

__all__ = ["is_known", "path_digest"]

_MISSING = "missing: "


def path_digest(path: Path, is_checkpoint: bool = False, recorded: str = "") -> str:
    """sha256 of a file, or of the names and contents of a folder's files; hidden files do not count.

    A path that cannot be read keeps the digest that was recorded for it: a disk that is not mounted changes no
    setting. Without such a digest it gets a marker, so that a pipeline can be planned before its files arrive.

    Args:
        path: a file or a folder. A folder without files is a path that is not there: an empty mount point.
        is_checkpoint: a ``path`` that does not exist may be a name on the Hugging Face hub, which stands for itself.
        recorded: the digest of this path when the pipeline was recorded; empty if there is none.
    """
    try:
        found = _digest(path)
    except OSError:
        found = ""
    if found:
        return found
    hub = f"hub: {path}" if is_checkpoint and is_hub_name(str(path)) else ""
    return recorded or hub or f"{_MISSING}{path}"


def is_known(digest_or_marker: str) -> bool:
    """False for the marker of a path that was never read."""
    return not digest_or_marker.startswith(_MISSING)


def _digest(path: Path) -> str:
    """Empty if nothing is there. Raises OSError if it cannot be read."""
    if path.is_file():
        return _file(path)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else []
    relative = {file.relative_to(path): file for file in files}
    digests = {p.as_posix(): _file(f) for p, f in relative.items() if not any(x[0] == "." for x in p.parts)}
    return digest(digests) if digests else ""


def _file(path: Path) -> str:
    status = path.stat()
    return _cached(str(path), status.st_size, status.st_mtime_ns)


@cache
def _cached(path: str, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
