"""Masks at stride 2 at low cost: a shallow branch sharpens the mask features of the pixel decoder, at stride 4.

The branch works on the image itself at half its size, so the borders come from pixels and the meaning from the deep
maps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import (
    Mask2FormerPixelLevelModule,
    Mask2FormerPixelLevelModuleOutput,
)

__all__ = ["DetailedPixels"]


class DetailedPixels(Mask2FormerPixelLevelModule):
    """A pixel level module whose mask features lie at stride 2 instead of 4.

    Args:
        config: of the network.
        detail_dim: number of channels of the branch.
    """

    def __init__(self, config: Mask2FormerConfig, detail_dim: int) -> None:
        super().__init__(config)
        width = self.decoder.mask_projection.out_channels
        self.detail = nn.Sequential(
            nn.Conv2d(3, detail_dim, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(detail_dim),
            nn.ReLU(),
        )
        self.reduce = nn.Conv2d(width, detail_dim, 1)
        self.fuse = nn.Sequential(
            nn.Conv2d(2 * detail_dim, detail_dim, 3, padding=1, bias=False),
            nn.BatchNorm2d(detail_dim),
            nn.ReLU(),
            nn.Conv2d(detail_dim, width, 1),
        )

    def forward(self, pixel_values: Tensor, output_hidden_states: bool = False) -> Mask2FormerPixelLevelModuleOutput:
        """As in the base class, but ``decoder_last_hidden_state`` is (B, D, H / 2, W / 2)."""
        output = super().forward(pixel_values, output_hidden_states)
        coarse = output.decoder_last_hidden_state
        assert coarse is not None
        detail = self.detail(pixel_values)
        deep = functional.interpolate(coarse, size=detail.shape[-2:], mode="bilinear", align_corners=False)
        output.decoder_last_hidden_state = deep + self.fuse(torch.cat([detail, self.reduce(deep)], 1))
        return output
