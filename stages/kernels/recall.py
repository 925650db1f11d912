"""Average recall of class-agnostic proposals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["IOU_THRESHOLDS", "greedy_match", "recalled"]

Doubles = npt.NDArray[np.float64]

IOU_THRESHOLDS: Doubles = np.round(np.arange(0.5, 1.0, 0.05), 2)
"""IoU .50, .55 … .95."""


def greedy_match(iou: Doubles) -> Doubles:
    """(G,) float64: the IoU each part was matched with, 0 where it was not.

    Repeatedly takes the (proposal, part) pair of the highest IoU and removes both.

    Args:
        iou: (P, G) of proposals and ground-truth parts.
    """
    left = np.array(iou, np.float64)
    matched = np.zeros(iou.shape[1])
    for _ in range(min(iou.shape)):
        proposal, part = np.unravel_index(left.argmax(), left.shape)
        matched[part] = left[proposal, part]
        left[proposal, :] = left[:, part] = -1
    return matched


def recalled(iou: Doubles, scores: npt.ArrayLike, limits: Sequence[int]) -> npt.NDArray[np.int64]:
    """(L, 10) int64: parts found at each IoU threshold by so many best-scored proposals of one image.

    Args:
        iou: (P, G) of proposals and ground-truth parts.
        scores: (P,); of equal scores the earlier proposal comes first.
        limits: the L numbers of proposals.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    sizes = [min(limit, len(order)) for limit in limits]
    # Most images have fewer proposals than the larger limits: what is the same is matched once.
    found = {
        size: (greedy_match(iou[order[:size]]) >= IOU_THRESHOLDS[:, None]).sum(1, dtype=np.int64) for size in set(sizes)
    }
    return np.stack([found[size] for size in sizes]) if sizes else np.zeros((0, len(IOU_THRESHOLDS)), np.int64)
