"""Random changes to a training image and its masks, drawn from (seed, epoch, image id) alone.

Flip, crop, scale, rotation and shift are one affine map from the square that the network sees to the image, so
pixels are resampled once. What falls outside the image is filled with the mean colour.
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
    """(H, W, 3) uint8 and (N, H, W) bool -> (S, S, 3) uint8 and (N, S, S) bool; masks may come out empty."""
    rng = generator("augment", seed, epoch, image_id)
    to_image = _affine(image.shape[0], image.shape[1], settings, rng)
    pixels = _warp_image(image, to_image, settings.size_px)
    if settings.colour:
        pixels = _recolour(pixels, settings.colour, rng)
    return pixels, _warp_masks(masks, to_image, settings.size_px)


def _affine(height: int, width: int, settings: AugmentSettings, rng: np.random.Generator) -> Floats:
    """(2, 3): (x, y, 1) in the square -> (x, y) in the image, both in pixels with corners at whole numbers."""
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
    """Bilinear; an image that shrinks by 2 or more is averaged down first, so that it does not alias."""
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
    """Each pixel takes the mask's value under its centre; outside the image there is no mask."""
    height, width = masks.shape[1:]
    if not to_image[0, 1] and not to_image[1, 0]:
        return _warp_upright(masks, to_image, size)
    y, x = np.mgrid[:size, :size] + 0.5
    columns = np.floor(to_image[0, 0] * x + to_image[0, 1] * y + to_image[0, 2]).astype(np.int64)
    rows = np.floor(to_image[1, 0] * x + to_image[1, 1] * y + to_image[1, 2]).astype(np.int64)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return masks[:, rows.clip(0, height - 1), columns.clip(0, width - 1)] & inside


def _warp_upright(masks: Bools, to_image: Floats, size: int) -> Bools:
    """The same without a rotation, where rows and columns are chosen apart: eight times as fast."""
    centres = np.arange(size) + 0.5
    columns = np.floor(to_image[0, 0] * centres + to_image[0, 2]).astype(np.int64)
    rows = np.floor(to_image[1, 1] * centres + to_image[1, 2]).astype(np.int64)
    across = np.flatnonzero((columns >= 0) & (columns < masks.shape[2]))
    down = np.flatnonzero((rows >= 0) & (rows < masks.shape[1]))
    out = np.zeros((len(masks), size, size), bool)
    if len(across) and len(down):
        # The columns that are seen lie side by side, and so do the rows.
        seen = masks[:, :, columns[across]][:, rows[down]]
        out[:, down[0] : down[-1] + 1, across[0] : across[-1] + 1] = seen
    return out


def _recolour(image: Bytes, strength: float, rng: np.random.Generator) -> Bytes:
    """Brightness, contrast, saturation and a colour cast, each by up to ``strength``."""
    bright, contrast, saturation = 1 + rng.uniform(-strength, strength, 3)
    cast = 1 + rng.uniform(-strength, strength, 3) / 2
    # Each of them is affine in the colours, so together they are one map. A plane at a time: NumPy is slow along an
    # axis of three, and its matrix product would bring threads of its own.
    mixed = (np.eye(3) * saturation + (1 - saturation) / 3) * contrast * (bright * cast)
    shift = image.mean() * (1 - contrast) * (bright * cast)
    planes = [image[..., channel].astype(np.float32) for channel in range(3)]
    out = np.empty_like(image)
    for channel in range(3):
        plane = sum(np.float32(weight) * own for weight, own in zip(mixed[:, channel], planes, strict=True))
        out[..., channel] = np.rint(plane + np.float32(shift[channel])).clip(0, 255)
    return out
