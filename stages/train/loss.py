"""The Mask2Former loss: Hungarian matching, class cross-entropy, point-sampled mask and dice losses, at every layer.

The computation is transformers' ``Mask2FormerLoss`` (Mask2Former paper §3.3). A class-specific head needs nothing
more: its logits already are the slice of the image's own object class, and labels are parts within the slice.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.models.mask2former.modeling_mask2former import Mask2FormerLoss

from schemas.training import TrainSettings
from stages.models.tiny import PartNetwork, Queries

__all__ = ["PartLoss"]


class PartLoss(nn.Module):
    """Weighted sum of the losses of all decoder layers.

    Args:
        network: whose outputs are judged.
        settings: weights and points.
    """

    def __init__(self, network: PartNetwork, settings: TrainSettings) -> None:
        super().__init__()
        config = network.model.config
        config.num_labels = network.num_classes
        config.class_weight = settings.class_weight
        config.mask_weight = settings.mask_weight
        config.dice_weight = settings.dice_weight
        config.no_object_weight = settings.no_object_weight
        config.train_num_points = settings.num_points
        config.oversample_ratio = settings.oversample_ratio
        config.importance_sample_ratio = settings.importance_ratio
        self.weights = {
            "loss_cross_entropy": settings.class_weight,
            "loss_mask": settings.mask_weight,
            "loss_dice": settings.dice_weight,
        }
        self.criterion = Mask2FormerLoss(config, self.weights)

    def forward(self, queries: Queries, masks: list[Tensor], labels: list[Tensor]) -> Tensor:
        """masks B times (N, H, W) float32, labels B times (N,) int64 -> the loss, a scalar.

        Points are drawn from torch's global generator. A batch without any mask learns only "no object".
        """
        layers = [*queries.earlier, queries]
        total = queries.class_logits.new_zeros(())
        for layer in layers:
            parts = self.criterion(layer.mask_logits.float(), layer.class_logits.float(), masks, labels)
            total = total + torch.stack([self.weights[name] * value for name, value in parts.items()]).sum()
        return total
