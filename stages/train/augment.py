"""Random changes to a training image and its masks, which depend on (seed, epoch, image id) alone.

Source: reference ``proposal_dataset_mapper.py`` and ``part_distillation_dataset_mapper.py``, with the transforms of
detectron2. In their order: a flip, a random window of the picture (``RandomCrop``, relative range), a random scale of
that window (``ResizeScale``), and a square of fixed size (``FixedSizeCrop``). Where the scaled window is larger than
the square, the square lies at a random place in it; one number places both axes, as there, so that it moves along the
diagonal. Where the window is smaller, it lies at the top left of the square, with grey to its right and below.

Rotation, shift and colour are additions to those transforms, and off by default. What is different:

- The steps are one affine map from the square to the picture, so pixels are resampled once. There, a picture is first
  resized to 640 pixels, and then again by its scale. What is drawn does not depend on pixels, so a picture is decoded
  afterwards, at the size that is needed.
- A window is cut in pixels of the original picture, not of the resized one: a difference of less than a pixel of the
  square at scale 1.
- Padding is no part of any mask, as the original's comments have it. In today's detectron2, ``FixedSizeCrop`` pads
  masks with 255, which those mappers would read as more of each part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pdstore.stream import generator
from schemas.training import AugmentSettings
from stages.kernels.warping.views import View
from stages.kernels.warping.warp import crop, recolour, warp
from stages.source.frames import Size
from stages.source.photos import Photo
from stages.train.stored_masks import StoredMasks

__all__ = ["Change", "Recolouring", "augment", "draw"]

DRAWS = 100
"""Draws until one has a target; after them, the picture is only flipped."""

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Recolouring:
    """A change of brightness, contrast, saturation and colour cast: affine in the colours, so one map.

    Attributes:
        mixed: (3, 3) float64, old channel by new channel.
        contrast: (3,) float64; the mean of all values of the picture, times this, is added to the new channels.
    """

    mixed: Floats
    contrast: Floats


@dataclass(frozen=True, eq=False)
class Change:
    """What is drawn for one sample.

    Attributes:
        view: what the square shows of the picture's frame.
        targets: (M,) int64, numbers of the masks that are targets.
        colours: None if colours stay as they are.
    """

    view: View
    targets: Ints
    colours: Recolouring | None


def augment(photo: Photo, masks: StoredMasks, change: Change, out: Bytes) -> Bools:
    """Write the picture as the network sees it to ``out``, (S, S, 3) uint8. Returns its targets, (M, S, S) bool."""
    view = change.view
    warp(crop(*photo.reduced(view.shrink), view), view, out)
    if change.colours is not None:
        recolour(out, change.colours.mixed, change.colours.contrast)
    return masks.seen(view, change.targets)


def draw(
    masks: StoredMasks,
    settings: AugmentSettings,
    seed: int,
    epoch: int,
    image_id: int,
    min_part_ratio: float = 0.0,
    objects: Ints | None = None,
) -> Change:
    """How the picture is changed, and which masks are targets then.

    A mask is a target if its visible area is more than ``min_part_ratio`` of the visible area of all masks of its
    object together, so a part may be too small in one draw and not in the next. A draw without any target is taken
    again, up to 100 times; then the picture is only flipped. No pixel of the picture is needed for it.

    Args:
        objects: (N,) int64, a number of the object that each mask is on; by default, all are on one. The original's
            samples have one object each.
    """
    rng = generator("augment", seed, epoch, image_id)
    plain = settings.model_copy(
        update={"crop_min_ratio": 1.0, "scale_min": 1.0, "scale_max": 1.0, "rotation_rad": 0.0, "shift_ratio": 0.0}
    )
    # Without masks there is nothing to look for, and without changes of place every draw is alike.
    tries = [settings] * (1 if len(masks) == 0 or settings == plain else DRAWS) + [plain]
    for drawn_from in tries:
        view = _view(masks.size, drawn_from, rng)
        targets = _targets(masks.areas(view), min_part_ratio, objects)
        if len(targets) or len(masks) == 0:
            break
    return Change(view, targets, _colours(settings.colour, rng) if settings.colour else None)


def _view(frame: Size, settings: AugmentSettings, rng: np.random.Generator) -> View:
    (height, width), size = frame, settings.size_px
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
    return View(rows, columns, np.column_stack([linear, start]), size)


def _targets(areas: Ints, min_part_ratio: float, objects: Ints | None) -> Ints:
    if objects is None:
        return np.flatnonzero(areas > min_part_ratio * areas.sum())
    own = np.unique(objects, return_inverse=True)[1]
    return np.flatnonzero(areas > min_part_ratio * np.bincount(own, areas)[own])


def _colours(strength: float, rng: np.random.Generator) -> Recolouring:
    """Brightness, contrast, saturation and colour cast, each changed by up to ``strength``."""
    bright, contrast, saturation = 1 + rng.uniform(-strength, strength, 3)
    cast = 1 + rng.uniform(-strength, strength, 3) / 2
    mixed = (np.eye(3) * saturation + (1 - saturation) / 3) * contrast * (bright * cast)
    return Recolouring(mixed, (1 - contrast) * (bright * cast))
