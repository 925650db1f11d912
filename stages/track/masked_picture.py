"""A picture of one image with the masks that nodes have of it, small enough to be sent somewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from stages.kernels.pictures import PAPER, Cell, Overlay, Row, draw_sheet

__all__ = ["OTHER", "MaskGroup", "MaskedPicture", "Names", "drawn", "label_map", "squared"]

MAX_NUMBER = 255
"""Label maps are pictures with one byte per pixel; 0 is no mask."""
OTHER = "other"
"""The name of all masks for which no number is left."""
DRAWN_PX = 320


@dataclass(frozen=True)
class MaskGroup:
    """The masks that one node has of an image.

    Attributes:
        node: name of the node.
        top: (H, W) int16, pixels of the picture: which of the N masks is on top, -1 where there is none.
        names: (N,) what each mask is of: a class, a part.
        colours: (N,) numbers, as in :class:`~stages.kernels.pictures.Overlay`.
    """

    node: str
    top: npt.NDArray[np.int16]
    names: Sequence[str]
    colours: Sequence[int]


@dataclass(frozen=True)
class MaskedPicture:
    """An image and its masks.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        groups: of the node that reports, then of what it read.
        caption: id and class of the image.
    """

    pixels: npt.NDArray[np.uint8]
    groups: Sequence[MaskGroup]
    caption: str


class Names:
    """Mask names of one node and their numbers, from 1 in the order in which they appeared.

    W&B keeps one list of names per node and run, the last that was sent. So a number keeps its meaning for good.
    """

    def __init__(self, known: Sequence[str] = ()) -> None:
        self._numbers = {name: number for number, name in enumerate(known, 1)}

    def number(self, name: str) -> int:
        """The number of a name; a new name gets the next one. Once 254 are taken, all further names share 255."""
        if name not in self._numbers and len(self._numbers) < MAX_NUMBER - 1:
            self._numbers[name] = len(self._numbers) + 1
        return self._numbers.get(name, MAX_NUMBER)

    def known(self) -> list[str]:
        """The names in the order of their numbers: what the constructor takes."""
        return list(self._numbers)

    def labels(self) -> Mapping[int, str]:
        """Number -> name."""
        named = {number: name for name, number in self._numbers.items()}
        return {**named, MAX_NUMBER: OTHER} if len(named) == MAX_NUMBER - 1 else named


def label_map(group: MaskGroup, names: Names) -> npt.NDArray[np.uint8]:
    """(H, W) uint8: the number of the name of each pixel's mask, 0 where there is none."""
    numbers = np.array([*(names.number(name) for name in group.names), 0], np.uint8)
    painted: npt.NDArray[np.uint8] = numbers[group.top]  # -1 takes the last, which is 0
    return painted


def drawn(picture: MaskedPicture) -> Image.Image:
    """A sheet with the image and, beside it, the overlay of each group."""
    cells = [Cell(caption=picture.caption), *(Cell(_overlay(group)) for group in picture.groups)]
    return draw_sheet(["image", *(group.node for group in picture.groups)], [Row(picture.pixels, cells)], DRAWN_PX)


def _overlay(group: MaskGroup) -> Overlay:
    masks = group.top == np.arange(len(group.names))[:, None, None]
    return Overlay(masks, group.colours, ", ".join(dict.fromkeys(group.names)) or "nothing")


def squared(pixels: npt.NDArray[np.uint8], fill: int | tuple[int, ...] = PAPER) -> npt.NDArray[np.uint8]:
    """(H, W) or (H, W, C) uint8 in the middle of a square of the longer side: W&B wants pictures of one size."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    square = np.empty((side, side, *pixels.shape[2:]), np.uint8)
    square[:] = np.asarray(fill, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square
