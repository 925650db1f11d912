"""Small backbones with random weights, saved as transformers saves them, and photographs of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import (
    Dinov2Config,
    Dinov2Model,
    DINOv3ConvNextConfig,
    DINOv3ConvNextModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    PreTrainedModel,
)

from schemas.stages import GroupingSettings

VIT = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 56}
SIZE = 96


def _dinov2() -> PreTrainedModel:
    return Dinov2Model(Dinov2Config(patch_size=14, **VIT))


def _dinov3() -> PreTrainedModel:
    return DINOv3ViTModel(DINOv3ViTConfig(patch_size=16, intermediate_size=32, num_register_tokens=4, **VIT))


def _convnext() -> PreTrainedModel:
    return DINOv3ConvNextModel(DINOv3ConvNextConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1]))


MODELS = {"dinov2": _dinov2, "dinov3": _dinov3, "convnext": _convnext}


def save_all(folder: Path) -> Path:
    """A folder with one checkpoint per kind of network, in the layout of the hub."""
    for name, make in MODELS.items():
        torch.manual_seed(0)
        make().save_pretrained(folder / name)
    return folder


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def settings_of(folder: Path, **values: object) -> GroupingSettings:
    return GroupingSettings(**{"backend": "auto", "weights": str(folder), "long_side": SIZE, **values})
