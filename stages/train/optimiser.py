"""The optimiser, its learning rate as a function of the step, and averaged weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from schemas.training import TrainSettings

__all__ = ["AveragedWeights", "freeze", "make_optimiser", "rate", "set_rate"]

BACKBONE = "pixel_level_module.encoder"
UNDECAYED = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase, nn.Embedding)
POSITION_BIAS = "relative_position_bias_table"


def rate(step: int, settings: TrainSettings) -> float:
    """The factor on the learning rate at ``step``, counted from 0: a warm-up, then a cosine to 0 or drops by ten."""
    warm = 1.0
    if step < settings.warmup_steps:
        warm = settings.warmup_factor + (1 - settings.warmup_factor) * (step + 1) / settings.warmup_steps
    if settings.schedule == "multistep":
        return warm * 0.1 ** sum(step >= milestone for milestone in settings.milestones)
    span = max(settings.steps - settings.warmup_steps, 1)
    progress = min(max(step - settings.warmup_steps, 0) / span, 1.0)
    return warm * (1 + math.cos(math.pi * progress)) / 2


def freeze(network: nn.Module, names: tuple[str, ...]) -> None:
    """Exclude parameters whose name contains one of ``names`` from training.

    Modules that are frozen as a whole are put in evaluation mode: their batch norms keep their statistics, and their
    dropout is off.
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
    """AdamW over all parameters that are not frozen.

    Norms, embeddings and the Swin's position biases have no weight decay, all other biases do; the learning rate of the
    backbone is scaled. Source: reference ``base_trainer.py``.
    """
    undecayed = {id(p) for module in network.modules() if isinstance(module, UNDECAYED) for p in module.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            plain = id(parameter) in undecayed or POSITION_BIAS in name
            ratio = settings.backbone_lr_ratio if BACKBONE in name else 1.0
            groups.setdefault((0.0 if plain else settings.weight_decay, ratio), []).append(parameter)
    listed = [
        {"params": parameters, "weight_decay": decay, "ratio": ratio} for (decay, ratio), parameters in groups.items()
    ]
    return torch.optim.AdamW(listed, lr=settings.lr, fused=True)  # one call for all weights, not one per weight


def set_rate(optimiser: torch.optim.Optimizer, step: int, settings: TrainSettings) -> float:
    """Set the learning rate of ``step``, counted from 0, on all groups. Returns that of groups with ratio 1."""
    lr = settings.lr * rate(step, settings)
    for group in optimiser.param_groups:
        group["lr"] = lr * group["ratio"]
    return lr


class AveragedWeights:
    """An exponential moving average of the weights over the last steps of a training.

    Args:
        settings: the decay, and when averaging starts.
        values: the average so far, if a training is resumed.
    """

    def __init__(self, settings: TrainSettings, values: dict[str, Tensor] | None = None) -> None:
        self.decay = settings.ema_decay
        self.start = int(settings.ema_start_ratio * settings.steps)
        self.values = values or {}

    def update(self, network: nn.Module, step: int) -> None:
        """Add the weights after ``step``, counted from 0. Integers (counters) are copied."""
        if not self.decay or step < self.start:
            return
        for name, value in network.state_dict().items():
            if name in self.values and value.is_floating_point():
                self.values[name].lerp_(value, 1 - self.decay)
            else:
                self.values[name] = value.clone()
