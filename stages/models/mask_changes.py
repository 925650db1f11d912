"""Where masks and label maps change, found on the device that holds them; only these places are copied to the host.

A mask of 640 x 480 pixels is 307,200 numbers, and changes at some hundred places: all that its run lengths need.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["label_changes", "mask_changes"]

Ints = npt.NDArray[np.int64]


def mask_changes(inside: Tensor) -> tuple[Ints, Ints]:
    """What :func:`pdstore.runs.from_changes` takes of masks on any device.

    Cost: some passes over the pixels, with two bytes of memory per pixel.

    Args:
        inside: (N, H, W) bool.

    Returns:
        (R,) int64 places at which a mask begins or ends, column by column, mask by mask; and (N,) int64, how many of
        them each mask has.
    """
    flat = inside.transpose(1, 2).flatten(1)
    changes = flat.clone()
    torch.logical_xor(flat[:, 1:], flat[:, :-1], out=changes[:, 1:])
    mask, place = changes.nonzero(as_tuple=True)
    bounds = torch.searchsorted(mask, torch.arange(len(inside) + 1, device=mask.device))
    # A place needs 32 bits, as in run lengths. One copy, because each waits for the device.
    counts, places = np.split(_on_host(torch.cat([bounds.diff().int(), place.int()])), [len(inside)])
    return places, counts


def label_changes(labels: Tensor) -> tuple[Ints, Ints]:
    """What :func:`pdstore.runs.from_label_changes` takes of a label map on any device.

    Args:
        labels: (H, W) int.

    Returns:
        (R,) int64 places, column by column: the first pixel, and those of another label than the one before; and
        (R,) int64, their labels.
    """
    flat = labels.T.flatten()
    is_first = torch.ones_like(flat, dtype=torch.bool)
    torch.ne(flat[1:], flat[:-1], out=is_first[1:])
    places = is_first.nonzero()[:, 0]
    return _on_host(places), _on_host(flat[places])


def _on_host(values: Tensor) -> Ints:
    return values.cpu().numpy().astype(np.int64)
