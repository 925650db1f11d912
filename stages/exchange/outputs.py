"""An output that is whole or not there: its blocks lie beside it until all are written, and are used again.

The blocks are in ``.NAME.parts`` next to the output NAME. Each is a folder, written under another name and renamed,
with the digest of what it was made from. The parts of another request are removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from pdstore.errors import StorageFailure, UsageError

__all__ = ["RECORD", "Parts", "check_out", "link", "publish", "storage"]

RECORD = "export.json"
"""The file in an output folder, and in the folder of its parts, that says what made it."""
_TALLY = "tally.json"


@dataclass(frozen=True)
class Parts:
    """The blocks of an output that are written so far.

    Args:
        out: the output. request: JSON values that say what is exported: the parts of another request are removed.
    """

    out: Path
    request: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        return self.out.with_name(f".{self.out.name}.parts")

    def begin(self, *, reuse: bool = True) -> None:
        """Make the folder, or take over that of an earlier run with the same request."""
        record, text = self.folder / RECORD, json.dumps(self.request, sort_keys=True)
        with storage(self.out):
            if not reuse or not record.exists() or record.read_text(encoding="utf-8") != text:
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir()
                record.write_text(text, encoding="utf-8")
            for unfinished in self.folder.glob(".*"):
                shutil.rmtree(unfinished)

    def block(self, number: int) -> Path:
        return self.folder / f"{number:07d}"

    def tally(self, number: int, made_from: str) -> Counter[str] | None:
        """What was counted in a block that is written; None if it is not, or was made from something else."""
        try:
            kept = json.loads((self.block(number) / _TALLY).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return Counter(kept["counts"]) if kept["made_from"] == made_from else None

    def write(self, number: int, made_from: str, write: Callable[[Path], Counter[str]]) -> Counter[str]:
        """Write a block by a function of its empty folder, which returns what it counted. Returns the counts."""
        whole = self.block(number)
        # Its name is the one that it will have, since what is written may contain it.
        folder = self.folder / f".{uuid4().hex}" / whole.name
        with storage(self.out):
            folder.mkdir(parents=True)
            counts = write(folder)
            kept = {"made_from": made_from, "counts": counts}
            (folder / _TALLY).write_text(json.dumps(kept), encoding="utf-8")
            shutil.rmtree(whole, ignore_errors=True)
            os.rename(folder, whole)
            folder.parent.rmdir()
        return counts

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def check_out(out: Path, *, is_folder: bool, overwrite: bool) -> None:
    """Check, before any work is done, that an output may be written to ``out``.

    Raises:
        UsageError: it exists and may not be replaced, or is no export, or its parent folder does not exist.
    """
    where, kind = str(out), "folder" if is_folder else "file"
    if not out.parent.is_dir():
        raise UsageError(f"the folder {out.parent} does not exist", where, f"Create it first: mkdir -p {out.parent}")
    if not out.exists():
        return
    if out.is_dir() != is_folder:
        found = "folder" if out.is_dir() else "file"
        raise UsageError(f"the format is written as a {kind}, and there is a {found}", where, "Choose another name")
    if not overwrite:
        raise UsageError(f"the {kind} exists already", where, "Choose another name, or add --overwrite")
    if is_folder and any(out.iterdir()) and not (out / RECORD).exists():
        # Whoever mistypes a path must not lose a folder of something else.
        problem = f"the folder is not an export: it has no {RECORD}"
        raise UsageError(problem, where, "Choose another name, or delete it yourself")


def publish(out: Path, write: Callable[[Path], None]) -> None:
    """Write an output by a function of its path under another name in the same folder, and rename it when it is whole.

    What was there is replaced. Raises StorageFailure.
    """
    temporary = out.with_name(f".{out.name}.{uuid4().hex}")
    try:
        with storage(out):
            write(temporary)
            if out.is_dir():
                former = out.with_name(f".{out.name}.{uuid4().hex}")
                os.rename(out, former)
                os.rename(temporary, out)
                shutil.rmtree(former)
            else:
                os.replace(temporary, out)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)


def link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@contextlib.contextmanager
def storage(out: Path) -> Iterator[None]:
    """Turns an error of the file system into a StorageFailure that names the output."""
    try:
        yield
    except OSError as error:
        fix = "Free some space, or name an output in another folder; what is written so far is used again"
        raise StorageFailure(f"the output cannot be written ({error})", str(out), fix) from None
