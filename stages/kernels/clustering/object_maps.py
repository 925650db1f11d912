"""Feature maps of one object: averaged inside its mask, and with the place of each cell in the object's box.

The same on NumPy arrays and on tensors, which stay on their device. C channels, (h, w) feature resolution, (H, W) image
resolution.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from pdstore.masks import resize_nearest

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PLACE_CHANNELS", "object_maps", "place_in_box"]

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Maps = TypeVar("Maps", Floats, "Tensor")

PLACE_CHANNELS = 2
_REACH = 4.0
"""Standard deviations after which a Gaussian is cut off."""


def object_maps(maps: Maps, mask: Bools, *, blur: float = 0.0, position: float = 0.0) -> Maps:
    """The maps by which the pixels of an object are grouped.

    Args:
        maps: (C, h, w) float32 over the frame of ``mask``: an array, or a tensor on any device.
        mask: (H, W) bool, the object.
        blur: standard deviation, in cells, of the Gaussian mean over the cells inside the object; 0 is off. A cell
            outside gets the mean of the object's cells around it, so that pixels at the object's border do not take
            part of the background; far from the object it keeps its value.
        position: weight of :func:`place_in_box`, which become the last two channels; 0 adds none.

    Returns:
        (C, h, w), or (C + 2, h, w) with ``position``.
    """
    if blur:
        maps = _blurred(maps, resize_nearest(mask, *maps.shape[1:]), blur)
    if not position:
        return maps
    place = position * place_in_box(mask, maps.shape[1], maps.shape[2])
    if isinstance(maps, np.ndarray):
        return np.concatenate([maps, place])
    import torch

    return torch.cat([maps, torch.from_numpy(place).to(maps.device)])


def place_in_box(mask: Bools, height: int, width: int) -> Floats:
    """(2, height, width) float32: y and x of each cell's centre in the mask's box, in long sides of the box.

    (0, 0) is the box's upper left corner, and cells outside the box are beyond 0 or 1. An empty mask has zeros.
    """
    place = np.zeros((2, height, width), np.float32)
    if not mask.any():
        return place
    spans = [np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0)]
    longest = max(int(last - first) + 1 for first, last in spans)
    for channel, (cells, pixels, span) in enumerate(zip((height, width), mask.shape, spans, strict=True)):
        centres = ((np.arange(cells) + 0.5) * pixels / cells - span[0]) / longest
        place[channel] = centres[:, None] if channel == 0 else centres
    return place


def _blurred(maps: Maps, inside: Bools, sigma: float) -> Maps:
    rows, columns = (_gaussian(side, sigma) for side in inside.shape)
    weight = rows @ inside.astype(np.float32) @ columns
    is_near = weight > 1e-6
    given: tuple[Any, ...] = (rows, columns, inside, np.where(is_near, weight, 1), is_near)
    where: Any = np.where
    if not isinstance(maps, np.ndarray):
        import torch

        where, given = torch.where, tuple(torch.from_numpy(np.ascontiguousarray(a)).to(maps.device) for a in given)
    left, right, within, total, near = given
    blurred: Maps = where(near, left @ (maps * within) @ right / total, maps)
    return blurred


@lru_cache(maxsize=64)
def _gaussian(cells: int, sigma: float) -> Floats:
    """(cells, cells) float32, symmetric, with 1 on the diagonal."""
    apart = np.abs(np.arange(cells)[:, None] - np.arange(cells)) / sigma
    return np.asarray(np.where(apart <= _REACH, np.exp(-(apart**2) / 2), 0), np.float32)
