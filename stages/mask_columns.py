"""The columns that all tables of masks share, computed from runs or from stacks of masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import runs
from pdstore.runs import Runs

__all__ = ["mask_columns", "run_columns"]


def mask_columns(stack: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """(N, H, W) bool in the frame -> the columns ``area``, ``height``, ``width`` and ``rle`` of N rows."""
    return run_columns(runs.from_masks(stack))


def run_columns(found: Runs) -> dict[str, Any]:
    """N masks in the frame -> the same columns."""
    return {
        "area": runs.areas(found),
        "height": np.full(len(found), found.height),
        "width": np.full(len(found), found.width),
        "rle": runs.strings(found),
    }
