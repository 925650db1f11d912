"""The numbers that a network computes with. What it trains stays float32, and so do losses, scores and masks.

In a lower precision torch runs the products of matrices and convolutions in it, and what needs the range (softmax,
norms, sums) in float32: see ``torch.autocast``.
"""

from __future__ import annotations

import torch
from torch import nn

from schemas.stages import Precision

__all__ = ["autocast", "lower_weights", "training_precision"]

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_PRODUCTS = (nn.Linear, nn.Conv2d, nn.MultiheadAttention)
"""Layers whose weights :func:`autocast` rounds whenever they are used, and that have no others."""


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """A context in which networks on ``device`` compute in ``precision``. float32 has no effect."""
    if precision == "float32":
        return torch.autocast(device.type, enabled=False)
    return torch.autocast(device.type, _TYPES[precision])


def lower_weights(network: nn.Module, precision: Precision) -> None:
    """Round, once and for all, the weights that :func:`autocast` would round in every pass: the results are the same.

    A Swin-L has a thousand of them, and a GPU waits while a host starts the rounding of each.
    """
    for layer in network.modules():
        if isinstance(layer, _PRODUCTS):
            layer.to(_TYPES[precision])


def training_precision(device: torch.device, amp: bool) -> Precision:
    """bfloat16 for ``amp`` on a GPU that computes in it, otherwise float32.

    torch would emulate bfloat16 on an older GPU, which is slower than float32. float16 would need a scale of the loss.
    """
    if not amp or device.type != "cuda":
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
