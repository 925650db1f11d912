"""Checkpoints of a training: each is written whole or not at all, and the newest readable one is resumed from."""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

__all__ = ["BEST_NAME", "last_good", "newest", "write"]

BEST_NAME = "best.pt"

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
    os.replace(temporary, target)
    if is_best:
        # Under another name first, so that a best checkpoint exists at any moment.
        link = folder / f".step_best.{uuid4().hex}"
        os.link(target, link)
        os.replace(link, folder / BEST_NAME)
    for old in _listed(folder)[:-keep]:
        old.unlink(missing_ok=True)
    for leftover in folder.glob(".step_*"):  # of writers that were killed
        leftover.unlink(missing_ok=True)
    return target


def newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, or None. An unreadable one is skipped with a warning."""
    for path in reversed(_listed(folder)):
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
            logger.warning("%s cannot be read (%s); trying the checkpoint before it", path, error)
            continue
        assert isinstance(state, dict)
        return state
    return None


def last_good(folder: Path) -> str:
    """The path of the newest checkpoint, or "none yet"; for messages."""
    paths = _listed(folder)
    return str(paths[-1]) if paths else "none yet"


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*.pt"))
