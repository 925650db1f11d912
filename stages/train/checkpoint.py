"""Checkpoints of a training: each is written whole or not at all, and the newest sound one is resumed from.

Each has a digest beside it, which is compared before anything in the file is looked at.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import torch

from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.files.links import link_or_copy
from pdstore.files.refusals import refusals
from pdstore.records.digests import digest_of, keep_digest, place_file, remove_with_digest
from stages.training_mirror import BEST_NAME, steps_in

__all__ = ["BEST_NAME", "last_good", "newest", "write"]

_DAMAGE = (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, pickle.UnpicklingError, CorruptData)
"""What a damaged file leads to; without a digest, that is what torch makes of it."""

logger = logging.getLogger(__name__)


def write(folder: Path, step: int, state: dict[str, Any], keep: int, is_best: bool = False) -> Path:
    """Write ``state`` (tensors and plain values) after ``step`` steps. Returns the path of the file.

    The newest ``keep`` checkpoints and the best one are kept; older ones are deleted.
    """
    target = folder / f"step_{step:08d}.pt"
    temporary = folder / f".{target.name}.{uuid4().hex}"
    with refusals(str(target), is_writing=True):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _save(state, temporary)
            _place(folder, temporary, target.name)
        except BaseException:
            # On a full disk, half a checkpoint would take the space that is needed to go on.
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        if is_best:
            # Under another name first, so that a best checkpoint exists at any moment.
            link = folder / f".step_best.{uuid4().hex}"
            link_or_copy(str(target), str(link))
            _place(folder, link, BEST_NAME)
        for old in steps_in(folder)[:-keep]:
            remove_with_digest(Files(str(folder)), old.name)
    for leftover in folder.glob(".step_*"):  # of writers that were killed
        leftover.unlink(missing_ok=True)
    return target


def newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The newest checkpoint that is as it was written, or None. A damaged one is skipped with a warning."""
    for path in reversed(steps_in(folder)):
        try:
            _check(path)
            state = torch.load(path, map_location=device, weights_only=True)
        except _DAMAGE as error:
            logger.warning("%s cannot be read (%s); trying the checkpoint before it", path, error)
            continue
        if isinstance(state, dict):
            return state
        logger.warning("%s is no checkpoint of a training; trying the checkpoint before it", path)
    return None


def last_good(folder: Path) -> str:
    """The path of the newest checkpoint, or "none yet"; for messages."""
    paths = steps_in(folder)
    return str(paths[-1]) if paths else "none yet"


class _Sink:
    """A file for torch, which makes an error of its own of whatever a write raises: the first one is kept instead."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is None:
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        pass


def _save(state: dict[str, Any], path: Path) -> None:
    """Write a state, and have it on the disk. Raises OSError."""
    # Unbuffered: a buffer that cannot be written fails once more when the file is closed.
    with path.open("wb", buffering=0) as file:
        sink = _Sink(file)
        torch.save(state, sink)
        if sink.error is not None:
            raise sink.error
        os.fsync(file.fileno())


def _place(folder: Path, written: Path, name: str) -> None:
    """Give a written file its name. A kill in between leaves it without a digest, and never with that of another."""
    files = Files(str(folder))
    place_file(files, written, name)
    with (folder / name).open("rb") as file:
        keep_digest(files, name, file)


def _check(path: Path) -> None:
    """Raises CorruptData if the file differs from what was written. Memory: one piece of it."""
    kept = digest_of(Files(str(path.parent)), path.name)
    if kept is None:
        return  # written by an earlier release
    with path.open("rb") as file:
        if problem := kept.problem_of(file):
            raise CorruptData(problem, str(path))
