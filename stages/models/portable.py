"""A part model as a class of transformers. This file lies beside exported weights; it needs torch and transformers.

    AutoModelForUniversalSegmentation.from_pretrained(folder, trust_remote_code=True)

It is written only beside networks that do what ``Mask2FormerForUniversalSegmentation`` cannot: scale mask embeddings to
unit length, sharpen masks at stride 2, or see the picture at another size.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from stages.models.detail import DetailedPixels

__all__ = ["PartMask2Former", "PartMask2FormerConfig"]


class PartMask2FormerConfig(Mask2FormerConfig):
    """A Mask2Former's configuration and, under ``part_distillation``, what only this network has."""

    # Another type than Mask2Former's: its class would take the weights and compute something else.
    model_type = "part_mask2former"


class PartMask2Former(Mask2FormerForUniversalSegmentation):
    """Normalised pictures (B, 3, H, W) float32 in, a ``Mask2FormerForUniversalSegmentationOutput`` out."""

    config_class = PartMask2FormerConfig

    def __init__(self, config: PartMask2FormerConfig) -> None:
        super().__init__(config)
        network: dict[str, Any] = config.part_distillation["network"]
        self.input_scale = float(network["input_scale"])
        if network["detail_dim"]:
            self.model.pixel_level_module = DetailedPixels(config, network["detail_dim"])
        if network["normalize_queries"]:
            embedder = self.model.transformer_module.decoder.mask_predictor.mask_embedder
            embedder.register_forward_hook(_to_unit_length)

    def forward(self, pixel_values: Tensor, *values: Any, **keywords: Any) -> Any:
        if self.input_scale != 1:
            pixel_values = functional.interpolate(
                pixel_values, scale_factor=self.input_scale, mode="bilinear", align_corners=False
            )
        return super().forward(pixel_values, *values, **keywords)


def _to_unit_length(module: Any, inputs: Any, output: Tensor) -> Tensor:
    return functional.normalize(output, dim=-1)
