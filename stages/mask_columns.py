"""The columns that all tables of masks share, computed from a stack of masks at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import masks

__all__ = ["mask_columns"]


def mask_columns(stack: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """(N, H, W) bool, original image pixels -> the columns ``area``, ``height``, ``width`` and ``rle`` of N rows."""
    return {
        "area": stack.sum((1, 2)),
        "height": np.full(len(stack), stack.shape[1]),
        "width": np.full(len(stack), stack.shape[2]),
        "rle": masks.encode(stack),
    }
