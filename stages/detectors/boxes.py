"""Which of the boxes that a detector proposes to keep."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["OVERLAP", "best_boxes", "from_centres"]

OVERLAP = 0.7
"""Two boxes with a higher IoU are the same object, found twice: under two words, or by two queries."""


def best_boxes(boxes: Tensor, scores: Tensor, min_score: float, limit: int) -> Tensor:
    """Indices of at most ``limit`` distinct boxes that score above ``min_score``, best first; (K,) int64.

    Args:
        boxes: (N, 4) float, x0 y0 x1 y1.
        scores: (N,) float.

    Cost: N² overlaps. Bias: if one object is in front of another and their boxes agree, the worse one is lost.
    """
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] > min_score]
    overlap = _iou(boxes[order].float()) > OVERLAP
    kept: list[int] = []
    for number in range(len(order)):
        if len(kept) == limit:
            break
        if not overlap[number, kept].any():
            kept.append(number)
    return order[kept]


def from_centres(boxes: Tensor) -> Tensor:
    """(…, 4) centre x, centre y, width, height -> x0 y0 x1 y1."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], -1)


def _iou(boxes: Tensor) -> Tensor:
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1)
    return shared / (area[:, None] + area[None] - shared).clamp(min=1e-9)
