"""The grid in which the original system keeps its masks, and masks brought to it and from it.

Its pictures are scaled to a longer side of 640 pixels, up or down, and those of part ranking are padded to a square on
the right and below. The frames of a store are the same pictures, but never scaled up (:mod:`stages.source.frames`).

Masks are scaled by nearest neighbour. So a mask comes back from a grid that is at least as large as its frame without
a pixel changed; from a smaller one it comes back as coarse as the grid.
"""

from __future__ import annotations

import numpy as np

from pdstore import Ragged, Rows, masks
from stages.source.frames import FRAME_SIDE, Size, masks_at
from stages.source.images import ImageFault

__all__ = ["WRONG_SIZE", "from_grid", "grid_of", "to_grid"]

WRONG_SIZE = "wrong_size"


def grid_of(size: Size, side: int = FRAME_SIDE) -> Size:
    """The (height, width) of an image of this size when its longer side is ``side`` pixels.

    Source: detectron2's ``ResizeScale``, whose rounding it has.
    """
    scale = min(side / size[0], side / size[1])
    height, width = np.round(np.multiply(size, scale)).astype(int).tolist()
    return max(1, height), max(1, width)


def to_grid(rows: Rows, size: Size, side: int = FRAME_SIDE, *, is_square: bool = False) -> tuple[Ragged, Size]:
    """The run lengths of the rows' masks in the original's grid, and the (height, width) of that.

    Args:
        rows: of one image of this ``size``, with ``height``, ``width`` and ``rle``.
        is_square: padded to a square on the right and below.
    """
    grid = grid_of(size, side)
    rle = masks_at(rows, grid)
    if not is_square or grid == (side, side):
        return rle, grid
    padded = np.zeros((len(rle), side, side), bool)
    padded[:, : grid[0], : grid[1]] = masks.decode(rle, *grid)
    return masks.encode(padded), (side, side)


def from_grid(rle: Ragged, grid: Size, size: Size, frame: Size) -> Ragged:
    """Masks in the original's grid -> their run lengths in the image's frame.

    Args:
        grid: (height, width) of the masks; a square is taken as padded if the image is none.
        size: of the image.
        frame: of the image.

    Raises:
        ImageFault: masks of this size are not of an image of that size.
    """
    content = grid_of(size, max(grid))
    if grid != content and grid[0] == grid[1]:
        rle = masks.encode(masks.decode(rle, *grid)[:, : content[0], : content[1]])
    elif max(abs(grid[0] - content[0]), abs(grid[1] - content[1])) > 1:
        found = f"the masks have (height, width) {grid}, which is not the shape of the image, {size}"
        raise ImageFault(WRONG_SIZE, found)
    else:
        content = grid
    return masks.resize(rle, content, frame)
