"""Checkpoints of a training: each is written whole or not at all, and the newest sound one is resumed from.

Each has a digest beside it, which is compared before anything in the file is looked at.
"""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from pdstore import layout
from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.records.digests import digest_of, keep_digest, remove_with_digest

__all__ = ["BEST_NAME", "last_good", "newest", "write"]

BEST_NAME = "best.pt"

_DAMAGE = (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, pickle.UnpicklingError, CorruptData)
"""What a damaged file leads to; without a digest, that is what torch makes of it."""

logger = logging.getLogger(__name__)


def write(folder: Path, step: int, state: dict[str, Any], keep: int, is_best: bool = False) -> Path:
    """Write ``state`` (tensors and plain values) after ``step`` steps. Returns the path of the file.

    The newest ``keep`` checkpoints and the best one are kept; older ones are deleted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step_{step:08d}.pt"
    temporary = folder / f".{target.name}.{uuid4().hex}"
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    _place(folder, temporary, target.name)
    if is_best:
        # Under another name first, so that a best checkpoint exists at any moment.
        link = folder / f".step_best.{uuid4().hex}"
        os.link(target, link)
        _place(folder, link, BEST_NAME)
    for old in _listed(folder)[:-keep]:
        remove_with_digest(Files(str(folder)), old.name)
    for leftover in folder.glob(".step_*"):  # of writers that were killed
        leftover.unlink(missing_ok=True)
    return target


def newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The newest checkpoint that is as it was written, or None. A damaged one is skipped with a warning."""
    for path in reversed(_listed(folder)):
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
    paths = _listed(folder)
    return str(paths[-1]) if paths else "none yet"


def _place(folder: Path, written: Path, name: str) -> None:
    """Give a written file its name. A kill in between leaves it without a digest, and never with that of another."""
    files = Files(str(folder))
    files.remove(layout.digest(name))
    os.replace(written, folder / name)
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


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*.pt"))
