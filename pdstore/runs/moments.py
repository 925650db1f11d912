"""Where masks lie and how far they reach: centroids and spreads from runs, without a decoded pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore.runs.algebra import Runs
from pdstore.runs.compiled import compiled

__all__ = ["moments"]

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def moments(runs: Runs) -> Doubles:
    """(N, 5) float64: of each mask the area, the mean x and y, and the standard deviation of x and of y, in pixels.

    x counts columns and y rows, from 0, at the centre of the first pixel. An empty mask has zeros.
    Cost: linear in the runs and in the columns that they cross.
    """
    sums = np.zeros((len(runs), 5))
    _sums(runs.ends, runs.offsets, runs.height, sums)
    area = sums[:, :1]
    means = sums[:, 1:] / np.maximum(area, 1)
    # Rounding may bring the variance of a single column below 0.
    spreads = np.sqrt(np.maximum(means[:, 2:] - np.square(means[:, :2]), 0))
    return np.concatenate([area, means[:, :2], spreads], 1)


@compiled
def _sums(ends: Ints, offsets: Ints, height: int, out: Doubles) -> None:
    """Pixels of each mask, and over them the sums of x, y, x squared and y squared."""
    for number in range(len(offsets) - 1):
        for i in range(offsets[number], offsets[number + 1] - 1, 2):
            place, stop = ends[i], ends[i + 1]
            while place < stop:
                x, top = divmod(place, height)
                bottom = min(height, top + stop - place)
                count = bottom - top
                # In floating point: sums of squares over a column of 2^16 pixels would be near the bounds of int64.
                first, last, n = float(top), float(bottom - 1), float(count)
                out[number, 0] += n
                out[number, 1] += n * x
                out[number, 2] += n * (first + last) / 2
                out[number, 3] += n * x * x
                out[number, 4] += (last * (last + 1) * (2 * last + 1) - (first - 1) * first * (2 * first - 1)) / 6
                place += count
