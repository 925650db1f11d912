"""Masks where chosen rows and columns cross, such as a resized crop: of each mask, only what is seen is painted.

Rows and columns are those of the mask's frame, one number per row and column of the result. A number below 0 stands
for a row or column outside the frame, in which no mask is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore.runs.algebra import Runs
from pdstore.runs.compiled import compiled

__all__ = ["areas_at", "decode_at"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def areas_at(runs: Runs, rows: npt.ArrayLike, columns: npt.ArrayLike) -> Ints:
    """(N,) int64: pixels of each mask of :func:`decode_at`. Nothing is painted.

    Cost: per mask and column, the runs in it and a binary search for them.
    """
    found = np.zeros(len(runs), np.int64)
    _walk(runs.ends, runs.offsets, runs.height, *_places(runs, rows, columns), np.zeros((0, 0, 0), np.uint8), found)
    return found


def decode_at(runs: Runs, rows: npt.ArrayLike, columns: npt.ArrayLike) -> Bools:
    """(N, R, C) bool, column-major in memory: each mask at ``rows`` (R,) and ``columns`` (C,).

    It equals ``masks[:, rows][:, :, columns]`` of the decoded masks, with False outside the frame.

    Raises:
        ValueError: rows that are inside the frame do not follow each other in rising order, or a number is too large.
    """
    first, picked = _places(runs, rows, columns)
    painted = np.zeros((len(runs), len(picked), np.size(rows)), np.uint8)
    _walk(runs.ends, runs.offsets, runs.height, first, picked, painted, np.zeros(len(runs), np.int64))
    return painted.view(bool).transpose(0, 2, 1)


def _places(runs: Runs, rows: npt.ArrayLike, columns: npt.ArrayLike) -> tuple[Ints, Ints]:
    """(height + 1,): how many of the rows, and of those before the first inside, are above each row; and the columns.

    So the rows from a to before b of the frame are those from ``first[a]`` to before ``first[b]`` of the result.
    """
    chosen, picked = np.asarray(rows, np.int64), np.array(columns, np.int64, order="C")
    inside = np.flatnonzero(chosen >= 0)
    seen = chosen[inside]
    if (np.diff(seen) < 0).any() or (np.diff(inside) != 1).any():
        raise ValueError("rows must be in rising order, with those outside the frame before and after them")
    if seen.max(initial=-1) >= runs.height or picked.max(initial=-1) >= runs.width:
        most = seen.max(initial=-1), picked.max(initial=-1)
        raise ValueError(f"the frame is {runs.height} x {runs.width}, got row {most[0]} and column {most[1]}")
    before = inside[0] if len(inside) else 0
    return before + np.searchsorted(seen, np.arange(runs.height + 1)), picked


@compiled
def _walk(
    ends: Ints, offsets: Ints, height: int, first: Ints, columns: Ints, out: npt.NDArray[np.uint8], areas: Ints
) -> None:
    """Count the pixels of each mask in ``areas``, and paint them in ``out`` (N, C, R) unless it has no masks."""
    for number in range(len(offsets) - 1):
        start, stop = offsets[number], offsets[number + 1]
        count = 0
        for x in range(len(columns)):
            column = columns[x]
            if column < 0:
                continue
            if x > 0 and columns[x - 1] == column:
                areas[number] += count
                if len(out) > 0:
                    out[number, x] = out[number, x - 1]
                continue
            count, begin, stop_at = 0, column * height, (column + 1) * height
            i = start + np.searchsorted(ends[start:stop], begin, side="right")
            while begin < stop_at:
                end = min(ends[i], stop_at)
                if (i - start) & 1 == 1:
                    low, high = first[begin - column * height], first[end - column * height]
                    count += high - low
                    if len(out) > 0:
                        out[number, x, low:high] = 1
                begin = end
                i += 1
            areas[number] += count
