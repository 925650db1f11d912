"""A part of a picture that is computed alone, and its result at the picture's own size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore.runs.compiled import compiled

__all__ = ["Cut", "most_likely"]

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Cut:
    """A box of pixels in a picture.

    Attributes:
        rows, columns: where it lies.
        height, width: the picture's size.
    """

    rows: slice
    columns: slice
    height: int
    width: int

    @classmethod
    def around(cls, labels: npt.NDArray[np.integer], margin_px: int | None) -> Cut | None:
        """The box of all (H, W) labels above 0 and a margin around it; with None the whole picture.

        Returns None if there should be a margin and there is no such label.
        """
        height, width = labels.shape
        if margin_px is None:
            return cls(slice(0, height), slice(0, width), height, width)
        inside = labels > 0
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        if not len(rows):
            return None
        top, bottom = max(0, int(rows[0]) - margin_px), min(height, int(rows[-1]) + 1 + margin_px)
        left, right = max(0, int(columns[0]) - margin_px), min(width, int(columns[-1]) + 1 + margin_px)
        return cls(slice(top, bottom), slice(left, right), height, width)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the box."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def of(self, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The box of a (H, W, …) picture."""
        return picture[self.rows, self.columns]


def most_likely(chances: Floats, cut: Cut, shape: tuple[int, ...]) -> Labels:
    """The label of the highest chance at each pixel of the picture at another size; outside the cut 0.

    Chances between pixels are interpolated as by :func:`stages.kernels.resize.resize_bilinear`, edges of the cut are
    repeated, and the lowest of equal labels wins.

    Args:
        chances: (h, w, L) float32, those of the cut.
        shape: height and width of the result.

    Returns:
        (H, W) int16.
    """
    labels = np.zeros(shape, np.int16)
    rows = _samples(shape[0], cut.height, cut.rows)
    columns = _samples(shape[1], cut.width, cut.columns)
    labels[rows[0], columns[0]] = _most_likely(chances, *rows[1:], *columns[1:])
    return labels


def _samples(target: int, source: int, side: slice) -> tuple[slice, Longs, Longs, Floats]:
    """The samples that lie in the cut: where, the cut's samples before and after each, and the share of the latter."""
    position = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    inside = np.flatnonzero((position >= side.start - 0.5) & (position < side.stop - 0.5))
    position = np.clip(position[inside] - side.start, 0, side.stop - side.start - 1)
    before = np.floor(position).astype(np.int64)
    after = np.minimum(before + 1, side.stop - side.start - 1)
    places = slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)
    return places, before, after, (position - before).astype(np.float32)


@compiled
def _most_likely(
    chances: Floats, above: Longs, below: Longs, down: Floats, left: Longs, right: Longs, across: Floats
) -> Labels:
    """(len(above), len(left)) int16."""
    found = np.zeros((len(above), len(left)), np.int16)
    for i in range(len(above)):
        for j in range(len(left)):
            most = np.float32(-1)
            for label in range(chances.shape[2]):
                first, second = chances[above[i], left[j], label], chances[below[i], left[j], label]
                before = first * (np.float32(1) - down[i]) + second * down[i]
                first, second = chances[above[i], right[j], label], chances[below[i], right[j], label]
                after = first * (np.float32(1) - down[i]) + second * down[i]
                chance = before * (np.float32(1) - across[j]) + after * across[j]
                if chance > most:
                    most = chance
                    found[i, j] = label
    return found
