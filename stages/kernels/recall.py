"""Average recall of class-agnostic proposals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["IOU_THRESHOLDS", "greedy_match", "recalled"]

Doubles = npt.NDArray[np.float64]

IOU_THRESHOLDS: Doubles = np.round(np.arange(0.5, 1.0, 0.05), 2)
"""IoU .50, .55 … .95 (METHOD: "AR")."""


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


def recalled(iou: Doubles, scores: npt.ArrayLike, limit: int) -> npt.NDArray[np.int64]:
    """(10,) int64: parts found at each IoU threshold by the ``limit`` best-scored proposals of one image.

    Args:
        iou: (P, G) of proposals and ground-truth parts.
        scores: (P,); of equal scores the earlier proposal comes first.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")[:limit]
    matched = greedy_match(iou[order])
    return np.asarray((matched[None, :] >= IOU_THRESHOLDS[:, None]).sum(1), np.int64)
