"""Checkpoints of a training: written whole or not at all, the newest readable one is where it goes on."""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

__all__ = ["last_good", "newest", "write"]

logger = logging.getLogger(__name__)


def write(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """``state`` (tensors and plain values) after ``step`` steps; only the newest ``keep`` files stay."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step_{step:08d}.pt"
    temporary = folder / f".{target.name}.{uuid4().hex}"
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, target)
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
