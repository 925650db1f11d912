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
    """(G,) float64: the IoU with which each part was matched, 0 if it was not matched.

    Repeatedly takes the (proposal, part) pair with the highest IoU and removes both.

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
    """(L, 10) int64: parts of one image that its best-scored proposals find, for each limit and IoU threshold.

    Args:
        iou: (P, G) of proposals and ground-truth parts.
        scores: (P,); if scores are equal, the earlier proposal comes first.
        limits: L limits on the number of proposals.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    sizes = [min(limit, len(order)) for limit in limits]
    # Most images have fewer proposals than the larger limits, so equal sizes are matched only once.
    hits = {
        size: (greedy_match(iou[order[:size]]) >= IOU_THRESHOLDS[:, None]).sum(1, dtype=np.int64) for size in set(sizes)
    }
    return np.stack([hits[size] for size in sizes]) if sizes else np.zeros((0, len(IOU_THRESHOLDS)), np.int64)
