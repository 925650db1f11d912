"""The optimiser, its learning rate as a function of the step, and averaged weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from schemas.training import TrainSettings

__all__ = ["AveragedWeights", "freeze", "make_optimiser", "rate", "set_rate"]

BACKBONE = "pixel_level_module.encoder"


def rate(step: int, settings: TrainSettings) -> float:
    """The factor on the learning rate at ``step``, counted from 0: warm-up, then cosine to 0 or tenfold falls."""
    warm = 1.0
    if step < settings.warmup_steps:
        warm = settings.warmup_factor + (1 - settings.warmup_factor) * (step + 1) / settings.warmup_steps
    if settings.schedule == "multistep":
        return warm * 0.1 ** sum(step >= milestone for milestone in settings.milestones)
    span = max(settings.steps - settings.warmup_steps, 1)
    progress = min(max(step - settings.warmup_steps, 0) / span, 1.0)
    return warm * (1 + math.cos(math.pi * progress)) / 2


def freeze(network: nn.Module, names: tuple[str, ...]) -> None:
    """Parameters whose name contains one of ``names`` learn no more.

    Modules that are frozen as a whole are put in evaluation mode: batch norms keep their statistics, and nothing is
    dropped from features that are fixed.
    """
    if not names:
        return
    for name, parameter in network.named_parameters():
        if any(part in name for part in names):
            parameter.requires_grad_(False)
    for module in network.modules():
        if next(module.parameters(), None) is not None and not any(p.requires_grad for p in module.parameters()):
            module.eval()


def make_optimiser(network: nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW over what is not frozen: no decay on norms, biases and embeddings, the backbone's rate scaled."""
    embeddings = {
        id(p) for module in network.modules() if isinstance(module, nn.Embedding) for p in module.parameters()
    }
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            plain = parameter.ndim <= 1 or id(parameter) in embeddings
            ratio = settings.backbone_lr_ratio if BACKBONE in name else 1.0
            groups.setdefault((0.0 if plain else settings.weight_decay, ratio), []).append(parameter)
    listed = [{"params": found, "weight_decay": decay, "ratio": ratio} for (decay, ratio), found in groups.items()]
    return torch.optim.AdamW(listed, lr=settings.lr, fused=True)  # one call for all weights, in place of one each


def set_rate(optimiser: torch.optim.Optimizer, step: int, settings: TrainSettings) -> float:
    """Sets the learning rate of ``step`` on all groups and returns it (the one of ratio 1)."""
    now = settings.lr * rate(step, settings)
    for group in optimiser.param_groups:
        group["lr"] = now * group["ratio"]
    return now


class AveragedWeights:
    """An exponential moving average over the last steps of a training; nothing before ``start``.

    Args:
        settings: decay, and when averaging starts.
        values: the average so far, when a training goes on.
    """

    def __init__(self, settings: TrainSettings, values: dict[str, Tensor] | None = None) -> None:
        self.decay = settings.ema_decay
        self.start = int(settings.ema_start_ratio * settings.steps)
        self.values = values or {}

    def update(self, network: nn.Module, step: int) -> None:
        """Takes in the weights after ``step``, counted from 0. Whole numbers (counters) are copied."""
        if not self.decay or step < self.start:
            return
        for name, value in network.state_dict().items():
            if name in self.values and value.is_floating_point():
                self.values[name].lerp_(value, 1 - self.decay)
            else:
                self.values[name] = value.clone()
