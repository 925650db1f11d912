"""Runs from pixels, or from the places at which masks or label maps change.

Another device than the CPU can find these places; a mask of 640 x 480 pixels changes at some hundred of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore.runs import change_kernels
from pdstore.runs.algebra import Runs

__all__ = ["from_changes", "from_label_changes", "from_labels", "from_masks"]


def from_masks(stack: npt.NDArray[np.bool_]) -> Runs:
    """(N, H, W) bool -> N masks. Cost: one pass over the pixels, and a copy of them unless columns are contiguous.

    Raises:
        ValueError: ``stack`` does not have three dimensions.
    """
    if stack.ndim != 3:
        raise ValueError(f"masks must be (N, H, W), got shape {stack.shape}")
    count, height, width = stack.shape
    pixels = height * width
    flat = np.ascontiguousarray(stack.transpose(0, 2, 1), bool).reshape(count, pixels)
    if missing := -pixels % change_kernels.STEP:
        flat = np.pad(flat, ((0, 0), (0, missing)))
    # A copy of what is read-only: it is another type, for which the loop would be compiled again.
    flat = np.require(flat, requirements="W").view(np.uint8)
    return Runs(*change_kernels.mask_runs(flat, flat.view(np.uint64), pixels), height, width)


def from_changes(places: npt.ArrayLike, counts: npt.ArrayLike, height: int, width: int) -> Runs:
    """N masks of (height, width) from the places at which they begin or end. Cost: linear in the places.

    Args:
        places: (R,) int, rising in each mask, counted column by column: pixels that differ from the one before them in
            the mask. Before the first pixel a mask is empty, so place 0 is one of them if that pixel is inside.
        counts: (N,) int, how many of the places each mask has.

    Raises:
        ValueError: there are not as many places as the masks have together.
    """
    numbers, given = np.array(counts, np.int64), np.array(places, np.int64)
    if numbers.sum() != len(given) or (numbers < 0).any():
        raise ValueError(f"the masks have {numbers.sum()} places together, got {len(given)}")
    return Runs(*change_kernels.closed(given, numbers, height * width), height, width)


def from_labels(labels: npt.NDArray[np.integer], num_labels: int) -> Runs:
    """(H, W) int -> ``num_labels`` masks: mask n has the pixels of label n, and other values are in none.

    Cost: two passes over the pixels, whatever the number of labels.
    """
    flat = np.ravel(labels, "F")
    is_first = np.ones(len(flat), bool)
    np.not_equal(flat[1:], flat[:-1], out=is_first[1:])
    places = np.flatnonzero(is_first)
    return from_label_changes(places, flat[places], num_labels, *labels.shape)


def from_label_changes(places: npt.ArrayLike, labels: npt.ArrayLike, num_labels: int, height: int, width: int) -> Runs:
    """The ``num_labels`` masks of a label map of (height, width), as :func:`~pdstore.runs.from_labels` gives them.

    Args:
        places: (R,) int, rising from 0: the first pixel, and those whose label is not that of the one before them,
            column by column.
        labels: (R,) int, the label from each place on; values that are no label are in no mask.
    """
    segments = np.array(places, np.int64), np.array(labels, np.int64)
    return Runs(*change_kernels.label_segments(*segments, num_labels, height * width), height, width)
