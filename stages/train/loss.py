"""The Mask2Former loss: Hungarian matching, class cross-entropy, point-sampled mask and dice losses, at every layer.

Source: Mask2Former paper §3.3. A class-specific head needs no special case: its logits already are the slice of the
image's object class, and labels are parts within this slice.

The points of an image depend on its key alone, and sums are divided by totals that the caller counts over the whole
batch. So a batch has the same loss in one piece as spread over ranks and micro-batches. All layers share their
candidate points, so masks are sampled once and not once per layer.
Shapes: B images, L layers, Q queries, M masks of the batch, P points kept, T points drawn, (h, w) mask size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdstore.stream import generator
from schemas.training import TrainSettings
from stages.models.network import Queries
from stages.train.matching import match, sample

__all__ = ["PartLoss"]


class PartLoss(nn.Module):
    """The weighted losses of all decoder layers.

    Args:
        num_classes: number of mask classes, without "no object".
        settings: weights of the losses, and numbers of points.
    """

    class_weights: Tensor

    def __init__(self, num_classes: int, settings: TrainSettings) -> None:
        super().__init__()
        self.settings, self.no_object = settings, num_classes
        weights = torch.ones(num_classes + 1)
        weights[-1] = settings.no_object_weight
        self.register_buffer("class_weights", weights)
        self.num_uncertain = int(settings.importance_ratio * settings.num_points)
        # Without a preference for uncertain points there are no candidates to choose from.
        self.num_candidates = int(settings.oversample_ratio * settings.num_points) if self.num_uncertain else 0

    def totals(self, counts: Sequence[int], num_queries: int) -> Tensor:
        """(2,) float64: for images with ``counts`` masks, the number of matched masks and the queries' class weights.

        The second number is the sum of the class weights over all queries.
        """
        matched = sum(min(count, num_queries) for count in counts)
        free = len(counts) * num_queries - matched
        return torch.tensor([matched, matched + free * self.settings.no_object_weight], dtype=torch.float64)

    def forward(
        self,
        queries: Queries,
        masks: Sequence[Tensor],
        labels: Sequence[Tensor],
        keys: Sequence[tuple[int, ...]],
        totals: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The weighted losses ``class``, ``mask`` and ``dice``, each a scalar summed over the layers.

        Args:
            queries: output of the network.
            masks: B times (N, H, W) float32, 0 or 1. If there are more masks than queries, the largest are used.
            labels: B times (N,) int64.
            keys: B keys; the points of an image are drawn from its key.
            totals: :meth:`totals` of the batch that these images are part of; by default, of these images.
        """
        layers = [*queries.earlier, queries]
        class_logits = torch.stack([layer.class_logits.float() for layer in layers])
        mask_logits = torch.stack([layer.mask_logits.float() for layer in layers], 1)
        num_queries = class_logits.shape[2]
        chosen = [_largest(mask, num_queries) for mask in masks]
        masks = [mask[index] for mask, index in zip(masks, chosen, strict=True)]
        labels = [label[index] for label, index in zip(labels, chosen, strict=True)]
        if totals is None:
            totals = self.totals([len(label) for label in labels], num_queries)
        num_masks, weight = max(float(totals[0]), 1.0), float(totals[1])
        points = [self._points(len(label), key, class_logits.device) for label, key in zip(labels, keys, strict=True)]
        matched = self._match(class_logits, mask_logits, masks, labels, [matching for matching, _ in points])
        losses = {"class": self._class_loss(class_logits, labels, matched) / weight}
        mask_loss, dice_loss = self._mask_losses(mask_logits, masks, matched, [drawn for _, drawn in points])
        settings = self.settings
        losses["class"] = losses["class"] * settings.class_weight
        losses["mask"] = mask_loss / num_masks * settings.mask_weight
        losses["dice"] = dice_loss / num_masks * settings.dice_weight
        return losses

    def _points(self, num_masks: int, key: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
        """(P, 2) points for matching, (N, T, 2) for the loss: candidates first, then points that are always kept."""
        source = torch.Generator(device).manual_seed(int(generator("points", *key).integers(2**62)))
        matching = torch.rand(self.settings.num_points, 2, generator=source, device=device)
        drawn = self.num_candidates + self.settings.num_points - self.num_uncertain
        return matching, torch.rand(num_masks, drawn, 2, generator=source, device=device)

    def _match(
        self,
        class_logits: Tensor,
        mask_logits: Tensor,
        masks: Sequence[Tensor],
        labels: Sequence[Tensor],
        points: Sequence[Tensor],
    ) -> list[Tensor]:
        with torch.no_grad():
            at_points = sample(mask_logits.flatten(1, 2), torch.stack(list(points)))
            targets = [sample(mask[None], places[None])[0] for mask, places in zip(masks, points, strict=True)]
        shape = mask_logits.shape[1:3]
        return match(class_logits, [logits.view(*shape, -1) for logits in at_points], targets, labels, self.settings)

    def _class_loss(self, class_logits: Tensor, labels: Sequence[Tensor], matched: Sequence[Tensor]) -> Tensor:
        """Weighted cross-entropy, summed over layers, images and queries."""
        targets = torch.full(class_logits.shape[:3], self.no_object, device=class_logits.device)
        for i, (label, queries) in enumerate(zip(labels, matched, strict=True)):
            targets[:, i].scatter_(1, queries.to(targets.device), label.expand(len(targets), -1))
        return functional.cross_entropy(
            class_logits.flatten(0, 2), targets.flatten(), self.class_weights, reduction="sum"
        )

    def _mask_losses(
        self, mask_logits: Tensor, masks: Sequence[Tensor], matched: Sequence[Tensor], points: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy (mean over points) and dice, each summed over layers and masks."""
        layers = torch.arange(mask_logits.shape[1], device=mask_logits.device)
        of_matched = [
            logits[layers[:, None], queries.to(logits.device)].transpose(0, 1)
            for logits, queries in zip(mask_logits, matched, strict=True)
        ]
        coordinates = torch.cat(list(points))
        logits = sample(torch.cat(of_matched), coordinates)  # (M, L, T)
        with torch.no_grad():
            targets = sample(torch.cat(list(masks))[:, None], coordinates).expand_as(logits)
            kept = self._kept(logits)
        logits, targets = logits.gather(2, kept), targets.gather(2, kept)
        mask = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(-1)
        inside = logits.sigmoid()
        dice = 1 - (2 * (inside * targets).sum(-1) + 1) / (inside.sum(-1) + targets.sum(-1) + 1)
        return mask.sum(), dice.sum()

    def _kept(self, logits: Tensor) -> Tensor:
        """(M, L, T) -> (M, L, P) int64: the candidates with logits nearest to 0, and all points after them."""
        candidates, rest = logits[..., : self.num_candidates], logits[..., self.num_candidates :]
        uncertain = candidates.abs().topk(self.num_uncertain, largest=False, sorted=False).indices
        always = torch.arange(self.num_candidates, logits.shape[2], device=logits.device).expand_as(rest)
        return torch.cat([uncertain, always], 2)


def _largest(masks: Tensor, limit: int) -> Tensor:
    """Indices of the ``limit`` largest of (N, H, W) masks, in the order of the masks."""
    if len(masks) <= limit:
        return torch.arange(len(masks), device=masks.device)
    return masks.sum((1, 2)).topk(limit).indices.sort().values
