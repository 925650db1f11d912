"""The class-specific head: of its ``num_objects * num_parts + 1`` logits it computes only those of an image's class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["SlicedHead"]


class SlicedHead(nn.Module):
    """A class head of ``num_objects * num_parts + 1`` logits, of which an image sees the slice of its object class.

    The rows of the slice are gathered before the product, so loss and inference cost the same for 6 or 22,000 object
    classes (paper §3.4; ``bench/head.py`` measures it). Cost: B * Q * (num_parts + 1) * D multiplications.
    """

    def __init__(self, width: int, num_objects: int, num_parts: int) -> None:
        super().__init__()
        self.num_objects, self.num_parts = num_objects, num_parts
        self.weight = nn.Parameter(torch.empty(num_objects, num_parts, width))
        self.bias = nn.Parameter(torch.zeros(num_objects, num_parts))
        self.no_object = nn.Linear(width, 1)
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, features: Tensor, object_class: Tensor) -> Tensor:
        """features (B, Q, D), object_class (B,) int64 -> (B, Q, num_parts + 1) logits."""
        parts = torch.einsum("bqd,bpd->bqp", features, self.weight[object_class]) + self.bias[object_class, None]
        return torch.cat([parts, self.no_object(features)], -1)
