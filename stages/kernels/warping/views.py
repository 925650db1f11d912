"""Where each pixel of a square lies in a window of a picture: one affine map, which pictures and masks share.

Places have their corners at integers, so the middle of the first pixel is at 0.5. A pixel of the square shows a mask if
the source pixel under its middle does. Which one that is, is computed as Pillow's ``Image.transform`` does it: an
upright map adds up its step from pixel to pixel in float64, and a turned one computes in 16.16 fixed point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["View", "fixed_point", "shrink_of"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class View:
    """What a square shows: a window of a picture, mapped into it.

    Attributes:
        rows, columns: the window, in pixels of the picture.
        to_window: (2, 3) float64, maps (x, y, 1) in the square to (x, y) in the window.
        side: of the square, in pixels.
    """

    rows: slice
    columns: slice
    to_window: Floats
    side: int

    @property
    def is_turned(self) -> bool:
        """False if rows of the square are rows of the picture."""
        return bool(self.to_window[0, 1] or self.to_window[1, 0])

    @property
    def shrink(self) -> float:
        """Pixels of the picture per pixel of the square, along one axis: the mean of both."""
        return shrink_of(self.to_window)

    @cached_property
    def grid(self) -> tuple[Ints, Ints]:
        """(S,) rows and (S,) columns of the picture under those of the square; -1 outside. Not for a turned view."""
        (x_step, _, x0), (_, y_step, y0) = self.to_window.tolist()
        return self._axis(y0, y_step, self.rows), self._axis(x0, x_step, self.columns)

    @cached_property
    def window_in_square(self) -> tuple[slice, slice]:
        """The rows and columns of the square that show the window. Not for a turned view."""
        rows, columns = (np.flatnonzero(axis >= 0) for axis in self.grid)
        if not len(rows) or not len(columns):
            return slice(0, 0), slice(0, 0)
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def _axis(self, start: float, step: float, window: slice) -> Ints:
        # cumsum adds one after the other, as Pillow does; its last bit decides which pixel a border falls to.
        places = np.cumsum(np.concatenate([[start + step * 0.5], np.full(self.side - 1, step)]))
        inside = (places >= 0) & (places < window.stop - window.start)
        return np.where(inside, places.astype(np.int64) + window.start, -1)


def shrink_of(to_source: Floats) -> float:
    """Pixels of the source per pixel of the square: the root of the area that (2, 3) ``to_source`` maps a pixel to."""
    (a, b, _), (c, d, _) = to_source.tolist()
    return math.sqrt(abs(a * d - b * c))


def fixed_point(to_window: Floats) -> list[int]:
    """Six integers (a, b, c, d, e, f) of a turned map: ``a * x + b * y + c >> 16`` is the column under pixel (x, y).

    The others give the row. Pillow's ``affine_fixed``, with the middle of a pixel in ``c`` and ``f``.
    """
    steps, starts = to_window[:, :2], to_window[:, 2] + to_window[:, :2].sum(1) * 0.5
    (a, b, c), (d, e, f) = np.floor(np.column_stack([steps, starts]) * 65536.0 + 0.5).astype(np.int64).tolist()
    return [a, b, c, d, e, f]
