"""The masks of a sample as the store has them: run lengths, which are painted only where a view shows them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pdstore import Ragged, masks, runs
from pdstore.runs import Runs
from stages.kernels.warping.views import View
from stages.kernels.warping.warp import row_major, turned
from stages.source.frames import Size

__all__ = ["StoredMasks"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class StoredMasks:
    """N masks of one picture.

    Attributes:
        rle: N run-length strings.
        frames: (N, 2) int64, the (height, width) of each.
        size: (height, width) of the picture's frame, to which masks of other frames are brought.
    """

    rle: Ragged
    frames: Ints
    size: Size

    @classmethod
    def encode(cls, stack: Bools) -> StoredMasks:
        """(N, H, W) bool, in the picture's frame."""
        height, width = stack.shape[1:]
        return cls(masks.encode(stack), np.tile(np.array([[height, width]]), (len(stack), 1)), (height, width))

    def __len__(self) -> int:
        return len(self.rle)

    def decode(self) -> Bools:
        """(N, H, W) bool in the picture's frame."""
        return masks.decode_to(self.rle, self.frames, *self.size)

    @cached_property
    def by_frame(self) -> list[tuple[Ints, Runs]]:
        """Numbers of the masks of equal frame, and their runs.

        Raises:
            CorruptData: a string is not that of a mask of its frame.
        """
        found = []
        for height, width in np.unique(self.frames, axis=0).tolist():
            index = np.flatnonzero((self.frames == (height, width)).all(1))
            found.append((index, runs.read(self.rle.take(index), height, width)))
        return found

    def areas(self, view: View) -> Ints:
        """(N,) int64: pixels of each mask in the square."""
        found = np.zeros(len(self), np.int64)
        if view.is_turned:
            found[:] = np.count_nonzero(self._turned(view, np.arange(len(self))), (1, 2))
        else:
            for index, group in self.by_frame:
                found[index] = runs.areas_at(group, *self.under(group, view))
        return found

    def seen(self, view: View, index: Ints) -> Bools:
        """(M, S, S) bool: the masks at ``index`` in the square; each pixel has the value under its middle."""
        if view.is_turned:
            return self._turned(view, index)
        out = np.zeros((len(index), view.side, view.side), bool)
        rows, columns = view.window_in_square
        for numbers, group in self.by_frame:
            places = np.flatnonzero(np.isin(index, numbers))
            under = (axis[part] for axis, part in zip(self.under(group, view), (rows, columns), strict=True))
            found = runs.decode_at(group.take(np.searchsorted(numbers, index[places])), *under)
            row_major(found, [out[place, rows, columns] for place in places])
        return out

    def under(self, group: Runs, view: View) -> tuple[Ints, Ints]:
        """(S,) rows and (S,) columns of the group's frame under those of the square; -1 outside. Not if turned."""
        rows, columns = view.grid
        return self.in_frame(rows, 0, group.height), self.in_frame(columns, 1, group.width)

    def in_frame(self, places: Ints, axis: int, length: int) -> Ints:
        """Rows (axis 0) or columns of the picture's frame -> those of a mask, as ``masks.resize_nearest`` has them."""
        if self.size[axis] == length:
            return places
        return np.where(places >= 0, (2 * places + 1) * length // (2 * self.size[axis]), -1)

    def _turned(self, view: View, index: Ints) -> Bools:
        stack = masks.decode_to(self.rle.take(index), self.frames[index], *self.size)
        return turned(stack[:, view.rows, view.columns], view)
