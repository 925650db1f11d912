"""Digests of the files that settings name, as they go into a fingerprint."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from pdstore.fingerprint import digest
from stages.models.sources import is_hub_name

__all__ = ["path_digest"]


def path_digest(path: Path, is_checkpoint: bool = False) -> str:
    """sha256 of a file, or of the names and contents of a folder's files; hidden files do not count.

    A path that does not exist gets a marker instead, so that a pipeline can be planned before its files arrive.

    Args:
        path: a file or a folder.
        is_checkpoint: a ``path`` that does not exist may be a name on the Hugging Face hub, which stands for itself.
    """
    if path.is_file():
        return _file(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        relative = {file.relative_to(path): file for file in files}
        return digest({p.as_posix(): _file(f) for p, f in relative.items() if not any(x[0] == "." for x in p.parts)})
    return f"hub: {path}" if is_checkpoint and is_hub_name(str(path)) else f"missing: {path}"


def _file(path: Path) -> str:
    status = path.stat()
    return _cached(str(path), status.st_size, status.st_mtime_ns)


@cache
def _cached(path: str, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
