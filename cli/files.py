"""The file that --out names."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from pdstore.errors import StorageFailure, UsageError

__all__ = ["check_place", "write_whole"]


def check_place(out: Path) -> None:
    """Raises UsageError where no file can be written; asked before anything is read."""
    if out.is_dir():
        raise UsageError("expected a file, found a folder", f"--out {out}", f"Name a file in it: --out {out / 'FILE'}")
    if not out.parent.is_dir():
        raise UsageError(
            "expected a folder that is there, found none", f"--out {out}", f"Make it first: mkdir -p {out.parent}"
        )


def write_whole(out: Path, data: bytes) -> None:
    """The file as a whole or not at all.

    Raises:
        StorageFailure: no space, or no permission.
    """
    temporary = out.with_name(f".{out.name}.{uuid4().hex}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageFailure(
            f"expected a file that can be written, found {error!s}", f"--out {out}", "Name another folder"
        ) from None
