"""Bilinear resizing of feature and score maps as two matrix products.

Because resizing is linear, the same matrices make it possible to swap it with another linear step
(:mod:`stages.kernels.clustering.grouping`) or to transpose it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["interpolation", "resize_bilinear"]

Floats = npt.NDArray[np.float32]


def interpolation(target: int, source: int) -> Floats:
    """(target, source) float32: row i holds the two weights that give target sample i from the source samples.

    Samples sit at pixel centres (PyTorch's ``align_corners=False``), edges are repeated, and nothing is smoothed if
    ``target < source``. Every row sums to 1.
    """
    position = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, source - 1)
    fraction = (position - below).astype(np.float32)
    matrix = np.zeros((target, source), np.float32)
    row = np.arange(target)
    np.add.at(matrix, (row, below), 1 - fraction)
    np.add.at(matrix, (row, above), fraction)
    return matrix


def resize_bilinear(maps: npt.ArrayLike, height: int, width: int) -> Floats:
    """(..., h, w) -> (..., height, width) float32, by the matrices of :func:`interpolation`."""
    source = np.asarray(maps, np.float32)
    if source.shape[-2:] == (height, width):
        return source
    rows, columns = interpolation(height, source.shape[-2]), interpolation(width, source.shape[-1])
    resized: Floats = np.matmul(np.matmul(rows, source), columns.T)
    return resized
