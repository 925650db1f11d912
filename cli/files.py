"""Writing the file that --out names."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from pdstore.errors import StorageFailure, UsageError

__all__ = ["check_place", "write_whole"]


def check_place(out: Path) -> None:
    """Check, before any work is done, that a file can be written to ``out``.

    Raises:
        UsageError: ``out`` is a folder, or its parent folder does not exist.
    """
    if out.is_dir():
        raise UsageError("expected a file, found a folder", f"--out {out}", f"Name a file in it: --out {out / 'FILE'}")
    if not out.parent.is_dir():
        fix = f"Create it first: mkdir -p {out.parent}"
        raise UsageError(f"the folder {out.parent} does not exist", f"--out {out}", fix)


def write_whole(out: Path, data: bytes) -> None:
    """Write the file whole or not at all: a reader never sees half of it.

    Raises:
        StorageFailure: the disk is full, or writing is not permitted.
    """
    temporary = out.with_name(f".{out.name}.{uuid4().hex}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        fix = "Free some space or name a file in another folder"
        raise StorageFailure(f"the file cannot be written ({error!s})", f"--out {out}", fix) from None
