"""Draws masks as transparent pictures, to lie over a photograph: their areas, or their outlines.

Pure drawing: arrays in, arrays out. Numbers have the colours of :func:`stages.kernels.pictures.colour_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from stages.kernels.pictures import colour_of

__all__ = ["owners", "paint_areas", "paint_outlines"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int32]
Pixels = npt.NDArray[np.uint8]


def owners(masks: Iterable[Bools], height: int, width: int) -> Ints:
    """(H, W) bool masks, best first -> (H, W) int32: the first mask that has the pixel, or -1.

    Cost: O(N H W). The masks may come one at a time, so that no more than one is in memory.
    """
    owner = np.full((height, width), -1, np.int32)
    for number, mask in enumerate(masks):
        owner[mask & (owner < 0)] = number
    return owner


def paint_areas(owner: Ints, colours: Sequence[int]) -> Pixels:
    """(H, W) owners -> (H, W, 4) uint8 RGBA: each mask in its colour, everything else transparent.

    Args:
        colours: (N,) numbers, one per mask.
    """
    return _palette(colours)[owner]


def paint_outlines(owner: Ints, colours: Sequence[int], width_px: int) -> Pixels:
    """(H, W) owners -> (H, W, 4) uint8 RGBA: the pixels of each mask within ``width_px`` of another owner."""
    edges = np.zeros(owner.shape, bool)
    for axis in (0, 1):
        numbers, marks = np.moveaxis(owner, axis, 0), np.moveaxis(edges, axis, 0)
        for shift in range(1, width_px + 1):
            differs = numbers[shift:] != numbers[:-shift]
            marks[shift:] |= differs
            marks[:-shift] |= differs
    return _palette(colours)[np.where(edges, owner, -1)]


def _palette(colours: Sequence[int]) -> Pixels:
    """(N + 1, 4) uint8 RGBA. The last row, which is also number -1, is transparent."""
    palette = np.zeros((len(colours) + 1, 4), np.uint8)
    for number, colour in enumerate(colours):
        palette[number] = (*colour_of(colour), 255)
    return palette
