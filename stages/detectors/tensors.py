"""Turns pictures into the input of a network, and its output into masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stages.detectors.protocol import Candidates, Pixels

__all__ = ["candidates", "long_side_size", "stack", "standardised"]


def long_side_size(pixels: Pixels, long_side: int) -> tuple[int, int]:
    """(height, width) with the given long side (0 keeps the picture's size) and the same aspect ratio."""
    height, width = pixels.shape[:2]
    ratio = long_side / max(height, width) if long_side else 1.0
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def stack(pictures: Sequence[Pixels], size: tuple[int, int], device: torch.device) -> Tensor:
    """Pictures resized and stacked: (B, 3, *size) float32 RGB, 0 to 255."""
    tensors = [torch.from_numpy(np.array(pixels)).to(device).permute(2, 0, 1)[None].float() for pixels in pictures]
    return torch.cat([functional.interpolate(t, size, mode="bilinear", antialias=True) for t in tensors])


def standardised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(B, 3, H, W) images, 0 to 255 -> scaled to 0 to 1, minus ``mean``, divided by ``std``."""
    low, scale = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (mean, std))
    return (images / 255 - low) / scale


def candidates(logits: Tensor, scores: Tensor, picture: Pixels) -> Candidates:
    """Candidates in the pixels of the picture.

    Args:
        logits: (N, h, w) mask logits over the whole picture, at any resolution.
        scores: (N,), best first.
        picture: (H, W, 3), gives the size of the masks.
    """
    size = picture.shape[:2]
    if not len(scores):
        return Candidates(np.zeros((0, *size), bool), np.zeros(0, np.float32))
    full = functional.interpolate(logits[None].float(), size, mode="bilinear", align_corners=False)[0]
    return Candidates((full > 0).cpu().numpy(), scores.float().cpu().numpy())
