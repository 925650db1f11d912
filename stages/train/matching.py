"""Which query is responsible for which mask: Hungarian matching at random points, for all decoder layers at once.

Source: Mask2Former paper §3.3. Shapes: L layers, Q queries, N masks of one image, P points, (h, w) mask size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from schemas.training import TrainSettings

__all__ = ["match", "sample"]

WORST = 1e6
"""Replaces a cost that is not finite, so that such a pair is chosen only if there is no other."""


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """(N, C, h, w) maps at (N, P, 2) points (x, y) in 0..1 -> (N, C, P); bilinear, and 0 outside."""
    return functional.grid_sample(maps, 2 * points[:, None] - 1, align_corners=False).squeeze(2)


@torch.no_grad()
def match(
    class_logits: Tensor,
    logits: Sequence[Tensor],
    targets: Sequence[Tensor],
    labels: Sequence[Tensor],
    settings: TrainSettings,
) -> list[Tensor]:
    """The cheapest assignment of queries to masks, image by image.

    Args:
        class_logits: (L, B, Q, C + 1) float.
        logits: B times (L, Q, P) float, mask logits at the points of the image.
        targets: B times (N, P) float, 0..1, the image's masks at the same points.
        labels: B times (N,) int64; N <= Q.
        settings: weights of the costs.

    Returns:
        B times (L, N) int64 on the CPU: the query of each mask, in the order of the masks.
    """
    probabilities = class_logits.softmax(-1)
    costs = [
        _costs(probabilities[:, i], logits[i], targets[i], labels[i], settings).nan_to_num(WORST, WORST, -WORST)
        for i in range(len(labels))
    ]
    flat = torch.cat([cost.flatten() for cost in costs]).cpu().numpy()  # waits for the device only once
    ends = np.cumsum([cost.numel() for cost in costs])[:-1]
    return [
        torch.from_numpy(np.stack([_assigned(layer) for layer in part.reshape(cost.shape)]))
        for part, cost in zip(np.split(flat, ends), costs, strict=True)
    ]


def _costs(probabilities: Tensor, logits: Tensor, targets: Tensor, labels: Tensor, settings: TrainSettings) -> Tensor:
    """(L, Q, N): the sum of class, mask and dice costs, with the weights of the loss."""
    layers, queries, points = logits.shape
    flat, inside = logits.flatten(0, 1), logits.sigmoid().flatten(0, 1)
    # One matrix product gives the cross-entropy of every pair: softplus(x) - x t, summed over the points.
    mask = (functional.softplus(flat).sum(-1, keepdim=True) - flat @ targets.T) / points
    dice = 1 - (2 * inside @ targets.T + 1) / (inside.sum(-1, keepdim=True) + targets.sum(-1) + 1)
    both = (settings.mask_weight * mask + settings.dice_weight * dice).view(layers, queries, len(targets))
    return both - settings.class_weight * probabilities[..., labels]


def _assigned(cost: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """(Q, N) -> (N,) int64, the query of each mask."""
    queries, masks = linear_sum_assignment(cost)
    return np.asarray(queries[np.argsort(masks)], np.int64)
