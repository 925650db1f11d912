"""Random changes to a training image and its masks, which depend on (seed, epoch, image id) alone.

Flip, crop, scale, rotation and shift form a single affine map from the square that the network sees to the image, so
pixels are resampled only once. The area outside the image is filled with the mean colour.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from pdstore.stream import generator
from schemas.training import AugmentSettings

__all__ = ["augment"]

MEAN_COLOUR = (124, 116, 104)

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def augment(
    image: Bytes, masks: Bools, settings: AugmentSettings, seed: int, epoch: int, image_id: int
) -> tuple[Bytes, Bools]:
    """(H, W, 3) uint8 and (N, H, W) bool -> (S, S, 3) uint8 and (N, S, S) bool; masks may become empty."""
    rng = generator("augment", seed, epoch, image_id)
    to_image = _affine(image.shape[0], image.shape[1], settings, rng)
    pixels = _warp_image(image, to_image, settings.size_px)
    if settings.colour:
        pixels = _recolour(pixels, settings.colour, rng)
    return pixels, _warp_masks(masks, to_image, settings.size_px)


def _affine(height: int, width: int, settings: AugmentSettings, rng: np.random.Generator) -> Floats:
    """(2, 3): maps (x, y, 1) in the square to (x, y) in the image; both in pixels, with corners at integers."""
    size = settings.size_px
    window = rng.uniform(settings.crop_min_ratio, 1, 2) * (width, height)
    centre = rng.uniform(0, 1, 2) * ((width, height) - window) + window / 2
    scale = size / window.max() * rng.uniform(settings.scale_min, settings.scale_max)
    angle = rng.uniform(-settings.rotation_rad, settings.rotation_rad)
    shift = rng.uniform(-settings.shift_ratio, settings.shift_ratio, 2) * size
    mirror = -1.0 if rng.random() < settings.flip_ratio else 1.0
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.array([[mirror, 0], [0, 1]]) @ np.array([[cos, -sin], [sin, cos]]) / scale
    offset = centre - linear @ (np.full(2, size / 2) + shift)
    return np.column_stack([linear, offset])


def _warp_image(image: Bytes, to_image: Floats, size: int) -> Bytes:
    """Bilinear resampling; an image that shrinks by 2 or more is averaged down first, to avoid aliasing."""
    picture = Image.fromarray(image)
    shrink = max(int(np.sqrt(abs(np.linalg.det(to_image[:, :2])))), 1)
    if shrink > 1:
        picture = picture.reduce(shrink)
        to_image = to_image / shrink
    out = picture.transform(
        (size, size), Image.Transform.AFFINE, tuple(to_image.ravel()), Image.Resampling.BILINEAR, fillcolor=MEAN_COLOUR
    )
    return np.array(out)


def _warp_masks(masks: Bools, to_image: Floats, size: int) -> Bools:
    """Each pixel takes the value of the mask at its centre; outside the image there is no mask.

    Eight masks are warped at a time, as the bits of one picture: Pillow is many times faster than indexing in NumPy.
    """
    out = np.empty((len(masks), size, size), bool)
    for first in range(0, len(masks), 8):
        eight = slice(first, first + 8)
        bits = (1 << np.arange(len(masks[eight]), dtype=np.uint8))[:, None, None]
        packed = Image.fromarray(np.bitwise_or.reduce(masks[eight] * bits, 0))
        moved = packed.transform(
            (size, size), Image.Transform.AFFINE, tuple(to_image.ravel()), Image.Resampling.NEAREST
        )
        out[eight] = np.asarray(moved) & bits
    return out


def _recolour(image: Bytes, strength: float, rng: np.random.Generator) -> Bytes:
    """Change brightness, contrast, saturation and colour cast, each by up to ``strength``."""
    bright, contrast, saturation = 1 + rng.uniform(-strength, strength, 3)
    cast = 1 + rng.uniform(-strength, strength, 3) / 2
    # Each change is affine in the colours, so together they form a single map. It is applied plane by plane: NumPy is
    # slow along an axis of length three, and its matrix product would start threads of its own.
    mixed = (np.eye(3) * saturation + (1 - saturation) / 3) * contrast * (bright * cast)
    shift = image.mean() * (1 - contrast) * (bright * cast)
    planes = [image[..., channel].astype(np.float32) for channel in range(3)]
    out = np.empty_like(image)
    for channel in range(3):
        mixture = sum(np.float32(weight) * plane for weight, plane in zip(mixed[:, channel], planes, strict=True))
        out[..., channel] = np.rint(mixture + np.float32(shift[channel])).clip(0, 255)
    return out
