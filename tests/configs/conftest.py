"""Tiny checkpoints of the published architectures, and pictures to run them on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.stages.detectors.conftest import checkpoints

__all__ = ["checkpoints", "draw_photographs"]


def draw_photographs(root: Path) -> Path:
    """Two classes of two pictures, each with a bright patch on noise."""
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 80, (48, 64, 3))
        pixels[10:30, 8:40] += np.array([140, 90, 30])
        pixels[10:20, 8:40] += np.array([0, 60, 120])
        path = root / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return root
