"""The augmentation of earlier versions, on decoded pictures and masks in Pillow and NumPy: a reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from pdstore.stream import generator
from schemas.training import AugmentSettings

__all__ = ["augment"]

PADDING = (128, 128, 128)
"""Colour of the square outside the window, as in ``FixedSizeCrop``."""
DRAWS = 100
"""Draws until one has a target; after them, the picture is only flipped."""

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def augment(
    image: Bytes,
    masks: Bools,
    settings: AugmentSettings,
    seed: int,
    epoch: int,
    image_id: int,
    min_part_ratio: float = 0.0,
    objects: Ints | None = None,
) -> tuple[Bytes, Bools, Ints]:
    """The picture as the network sees it, and the masks that are targets in it.

    A mask is a target if its visible area is more than ``min_part_ratio`` of the visible area of all masks of its
    object together, so a part may be too small in one draw and not in the next. A draw without any target is taken
    again, up to 100 times; then the picture is only flipped. Only masks are resampled before a draw is accepted.

    Args:
        image: (H, W, 3) uint8. masks: (N, H, W) bool.
        objects: (N,) int64, a number of the object that each mask is on; by default, all are on one. The original's
            samples have one object each.

    Returns:
        (S, S, 3) uint8; (M, S, S) bool, the targets; (M,) int64, their numbers among the masks. M may be 0.
    """
    rng = generator("augment", seed, epoch, image_id)
    plain = settings.model_copy(
        update={"crop_min_ratio": 1.0, "scale_min": 1.0, "scale_max": 1.0, "rotation_rad": 0.0, "shift_ratio": 0.0}
    )
    # Without masks there is nothing to look for, and without changes of place every draw is alike.
    tries = [settings] * (1 if len(masks) == 0 or settings == plain else DRAWS) + [plain]
    for drawn_from in tries:
        view = _draw(image.shape[0], image.shape[1], drawn_from, rng)
        moved = _warp_masks(masks, view, settings.size_px)
        targets = _targets(moved, min_part_ratio, objects)
        if len(targets) or len(masks) == 0:
            break
    pixels = _warp_image(image, view, settings.size_px)
    if settings.colour:
        pixels = _recolour(pixels, settings.colour, rng)
    return pixels, moved[targets], targets


@dataclass(frozen=True, eq=False)
class _View:
    """What the square shows: a window of the picture, mapped into it.

    Attributes:
        rows, columns: the window, in pixels of the picture.
        to_window: (2, 3), maps (x, y, 1) in the square to (x, y) in the window; both in pixels, with corners at
            integers.
    """

    rows: slice
    columns: slice
    to_window: Floats


def _draw(height: int, width: int, settings: AugmentSettings, rng: np.random.Generator) -> _View:
    size = settings.size_px
    mirror = rng.random() < settings.flip_ratio
    window = np.maximum(np.floor(rng.uniform(settings.crop_min_ratio, 1, 2) * (width, height) + 0.5).astype(int), 1)
    left, top = rng.integers(0, (width, height) - window, endpoint=True)
    fit = size * rng.uniform(settings.scale_min, settings.scale_max) / window.max()
    scaled = np.maximum(np.rint(window * fit), 1)
    offset = np.rint(np.maximum(scaled - size, 0) * rng.random())
    angle = rng.uniform(-settings.rotation_rad, settings.rotation_rad)
    shift = rng.uniform(-settings.shift_ratio, settings.shift_ratio, 2) * size
    # The picture turns about the middle of what the square shows of it, and is shifted afterwards.
    middle = np.minimum(scaled, size) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shrink = window / scaled
    linear = turn * shrink[:, None]
    start = (middle + offset - turn @ (middle + shift)) * shrink
    if mirror:
        linear[0], start[0] = -linear[0], window[0] - start[0]
    rows, columns = slice(top, top + window[1]), slice(left, left + window[0])
    return _View(rows, columns, np.column_stack([linear, start]))


def _targets(masks: Bools, min_part_ratio: float, objects: Ints | None) -> Ints:
    areas = np.array([np.count_nonzero(mask) for mask in masks], np.int64)
    if objects is None:
        return np.flatnonzero(areas > min_part_ratio * areas.sum())
    own = np.unique(objects, return_inverse=True)[1]
    return np.flatnonzero(areas > min_part_ratio * np.bincount(own, areas)[own])


def _warp_image(image: Bytes, view: _View, size: int) -> Bytes:
    """Bilinear resampling; an image that shrinks by 2 or more is averaged down first, to avoid aliasing."""
    picture, to_window = Image.fromarray(image[view.rows, view.columns]), view.to_window
    shrink = max(int(np.sqrt(abs(np.linalg.det(to_window[:, :2])))), 1)
    if shrink > 1:
        picture = picture.reduce(shrink)
        to_window = to_window / shrink
    out = picture.transform(
        (size, size), Image.Transform.AFFINE, tuple(to_window.ravel()), Image.Resampling.BILINEAR, fillcolor=PADDING
    )
    return np.array(out)


def _warp_masks(masks: Bools, view: _View, size: int) -> Bools:
    """Each pixel takes the value of the mask at its centre; outside the window there is no mask.

    Eight masks are warped at a time, as the bits of one picture: Pillow is many times faster than indexing in NumPy.
    """
    out = np.empty((len(masks), size, size), bool)
    for first in range(0, len(masks), 8):
        eight = slice(first, first + 8)
        bits = (1 << np.arange(len(masks[eight]), dtype=np.uint8))[:, None, None]
        packed = Image.fromarray(np.bitwise_or.reduce(masks[eight, view.rows, view.columns] * bits, 0))
        moved = packed.transform(
            (size, size), Image.Transform.AFFINE, tuple(view.to_window.ravel()), Image.Resampling.NEAREST
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
