"""Features for pixel grouping that need no learned weights: colour, position and local texture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["COLOUR_CHANNELS", "chromaticity", "pixel_features"]

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

TEXTURE_SIGMAS = (1.5, 4.0)
"""In pixels: fine and coarse."""
LIGHTNESS_SHARE = 0.5
"""Weight of L relative to a and b: lightness changes with the shading inside one part, a and b hardly do."""
COLOUR_UNIT, POSITION_UNIT, TEXTURE_UNIT = 15.0, 0.15, 0.6
"""Typical standard deviations inside an object (CIELAB units, long sides, log units). Each group is divided by its
value, so that with weights of 1 all three contribute equally to an l2 distance."""

COLOUR_CHANNELS = 3
DARK = 4.0
"""Grey levels that are added to each channel, so that the noise of dark pixels is no colour."""


def pixel_features(
    image: Bytes, stride: int = 4, *, colour: float = 1.0, position: float = 1.0, texture: float = 0.5
) -> Floats:
    """Features (9, h, w) float32 for l2 k-means, h = round(H / stride), w = round(W / stride), at least 1.

    Channels: L, a, b · y, x in long sides from the top left corner · log local edge energy, vertical and horizontal,
    at two scales. The cells cover the (H, W) frame exactly, and each is the mean over its pixels.

    Args:
        image: (H, W, 3) uint8 RGB.
        stride: side of a cell in image pixels.
        colour, position, texture: weights of the three groups; a group with weight 0 has no effect.

    Cost: a few dozen operations per pixel.
    """
    from skimage.color import rgb2lab

    height, width = image.shape[:2]
    size = max(1, round(height / stride)), max(1, round(width / stride))
    lab = np.moveaxis(rgb2lab(image), 2, 0).astype(np.float32)
    lightness = lab[0].copy()
    lab[0] *= LIGHTNESS_SHARE
    place = np.indices((height, width), np.float32) / max(height, width)
    energy = _edge_energy(lightness)
    groups = (
        (lab, colour / COLOUR_UNIT),
        (place, position / POSITION_UNIT),
        (energy, texture / (TEXTURE_UNIT * np.sqrt(len(energy) / 2))),
    )
    return np.concatenate([_cell_means(maps, size) * np.float32(scale) for maps, scale in groups])


def chromaticity(image: Bytes, height: int, width: int) -> Floats:
    """The share of red, green and blue in each pixel, which light and shadow hardly change: (3, height, width) float32.

    The three add up to 1. Each cell is the mean over its pixels; the cells cover the (H, W) frame exactly.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    lit = np.moveaxis(image, 2, 0).astype(np.float32) + np.float32(DARK)
    return _cell_means(lit / lit.sum(0), (height, width))


def _edge_energy(lightness: Floats) -> Floats:
    """(4, H, W): log of the mean absolute Gaussian derivative, vertical and horizontal, at each scale."""
    from scipy.ndimage import gaussian_filter

    energies = []
    for sigma in TEXTURE_SIGMAS:
        for order in ((1, 0), (0, 1)):
            slope = np.abs(gaussian_filter(lightness, sigma, order)) * sigma
            energies.append(np.log1p(gaussian_filter(slope, 2 * sigma)))
    return np.stack(energies)


def _cell_means(maps: Floats, size: tuple[int, int]) -> Floats:
    from PIL import Image

    cells = [Image.fromarray(m).resize(size[::-1], Image.Resampling.BOX) for m in maps]
    return np.stack([np.asarray(c, np.float32) for c in cells])
