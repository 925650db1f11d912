"""Bilinear resampling along rows and columns: what OpenCV's ``warpAffine`` does for maps that do not turn, in a third
of its time, since a row of the source is resampled once for all rows that take from it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore.runs.compiled import compiled

__all__ = ["resample"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Steps = npt.NDArray[np.int32]


def resample(pixels: Bytes, rows: Floats, columns: Floats, out: Bytes, corner: tuple[int, int] = (0, 0)) -> None:
    """Interpolate between the four pixels around each place; beyond the border, its pixels go on.

    Weights have 11 bits, and sums are rounded once, so a value is off by less than one level.

    Args:
        pixels: (h, w, 3) uint8, contiguous.
        rows, columns: (R,) and (C,) float64, places in ``pixels``, where the middle of the first pixel is 0.
        out: (height, width, 3) uint8, contiguous; the result is written to R rows and C columns of it.
        corner: row and column of ``out`` at which they begin.

    Raises:
        ValueError: there is no room for the result.
    """
    height, width = pixels.shape[:2]
    if corner[0] + len(rows) > out.shape[0] or corner[1] + len(columns) > out.shape[1]:
        raise ValueError(f"no room for {len(rows)} x {len(columns)} pixels in {out.shape[:2]} at {corner}")
    line = np.empty((2, 3 * len(columns)), np.int32)
    # As flat rows, whose inner loops are compiled to vector instructions.
    flat, target = pixels.reshape(height, 3 * width), out.reshape(out.shape[0], -1)
    _resample(flat, *_neighbours(rows, height), *_neighbours(columns, width), line, target, *corner)


def _neighbours(places: Floats, length: int) -> tuple[Steps, Steps, Steps]:
    """The pixel before each place, the one after it, and the weight of the latter, from 0 to 2048."""
    low = np.floor(places)
    weights = np.rint((places - low) * 2048).astype(np.int32)
    first = np.clip(low, 0, length - 1).astype(np.int32)
    return first, np.clip(low + 1, 0, length - 1).astype(np.int32), weights


@compiled
def _resample(
    pixels: Bytes,
    above: Steps,
    below: Steps,
    down: Steps,
    left: Steps,
    right: Steps,
    along: Steps,
    line: Steps,
    out: Bytes,
    top: int,
    start: int,
) -> None:
    """``line`` (2, 3 C) holds the two rows of the source that were resampled last."""
    held = np.full(2, -1, np.int64)
    for y in range(len(above)):
        for which in range(2):
            row = above[y] if which == 0 else below[y]
            if held[0] == row or held[1] == row:
                continue
            slot = 1 if held[0] == above[y] or held[0] == below[y] else 0
            source, sums = pixels[row], line[slot]
            for x in range(len(left)):
                before, after, weight = 3 * left[x], 3 * right[x], along[x]
                other = 2048 - weight
                sums[3 * x] = source[before] * other + source[after] * weight
                sums[3 * x + 1] = source[before + 1] * other + source[after + 1] * weight
                sums[3 * x + 2] = source[before + 2] * other + source[after + 2] * weight
            held[slot] = row
        upper, lower = line[0 if held[0] == above[y] else 1], line[0 if held[0] == below[y] else 1]
        weight, target = down[y], out[top + y, 3 * start : 3 * (start + len(left))]
        other = 2048 - weight
        for i in range(len(target)):
            target[i] = (upper[i] * other + lower[i] * weight + (1 << 21)) >> 22
