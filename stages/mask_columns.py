"""The columns that all tables of masks share, computed from stacks of masks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Ragged, masks

__all__ = ["mask_columns", "stacked_columns"]

Bools = npt.NDArray[np.bool_]


def stacked_columns(stacks: Iterable[Bools], size: tuple[int, int]) -> dict[str, Any]:
    """:func:`mask_columns` of the masks of all stacks, of which only one is in memory at a time.

    Args:
        size: (H, W) of the masks.
    """
    none = np.zeros((0, *size), bool)
    parts = [mask_columns(none), *(mask_columns(stack) for stack in stacks)]
    columns: dict[str, Any] = {name: np.concatenate([p[name] for p in parts]) for name in ("area", "height", "width")}
    return columns | {"rle": Ragged.from_list([counts for part in parts for counts in part["rle"]])}


def mask_columns(stack: Bools) -> dict[str, Any]:
    """(N, H, W) bool in the frame -> the columns ``area``, ``height``, ``width`` and ``rle`` of N rows."""
    return {
        "area": stack.sum((1, 2)),
        "height": np.full(len(stack), stack.shape[1]),
        "width": np.full(len(stack), stack.shape[2]),
        "rle": masks.encode(stack),
    }
