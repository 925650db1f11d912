"""Checkpoints of a training: written whole or not at all, the newest readable one is where it goes on."""

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
    """``state`` (tensors and plain values) after ``step`` steps; the newest ``keep`` files and the best one stay."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step_{step:08d}.pt"
    temporary = folder / f".{target.name}.{uuid4().hex}"
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, target)
    if is_best:
        # Under another name first, so that there is a best one at any moment.
        link = folder / f".step_best.{uuid4().hex}"
        os.link(target, link)
        os.replace(link, folder / BEST_NAME)
    for old in _listed(folder)[:-keep]:
        old.unlink(missing_ok=True)
    for leftover in folder.glob(".step_*"):  # of writers that were killed
        leftover.unlink(missing_ok=True)
    return target


def newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, or None; an unreadable one is passed over with a warning."""
    for path in reversed(_listed(folder)):
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
            logger.warning("%s cannot be read (%s); going back to the one before", path, error)
            continue
        assert isinstance(state, dict)
        return state
    return None


def last_good(folder: Path) -> str:
    """The newest checkpoint's path, in words."""
    found = _listed(folder)
    return str(found[-1]) if found else "none yet"


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*.pt"))
