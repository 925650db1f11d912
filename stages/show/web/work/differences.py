"""Where two layers differ most: images by the mean best IoU of their masks, on run lengths."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pdstore import Layer, Rows, masks
from pdstore.errors import UsageError
from stages.source.frames import image_frames, masks_at

__all__ = ["Difference", "Differences", "agreement", "read_differences"]

MAX_SECONDS = 3.0
MAX_IMAGES = 2000
MAX_MASKS = 100
"""Masks of an image that are compared: the best ones, as pictures show them."""
_COLUMNS = ("image_id", "object_id", "score", "height", "width", "rle")


@dataclass(frozen=True)
class Difference:
    """One image.

    Attributes:
        agreement: see :func:`agreement`. before, after: number of masks in the two layers.
    """

    image_id: int
    agreement: float
    before: int
    after: int


@dataclass(frozen=True)
class Differences:
    """The images that differ most, those first.

    Attributes:
        compared: how many images were compared. mean: their mean agreement; NaN without any.
        blocks: how many blocks they lie in. common: blocks that both layers have.
    """

    images: tuple[Difference, ...]
    compared: int
    mean: float
    blocks: int
    common: int


def read_differences(
    before: Layer, after: Layer, count: int = 24, seconds: float = MAX_SECONDS, images: int = MAX_IMAGES
) -> Differences:
    """The ``count`` images on which two layers agree least.

    Blocks are in random order, so the first ones are a fair sample: reading stops after so many seconds or images, but
    not before the end of a block. Cost: the masks of these blocks in both layers, and their IoU on the runs.

    Raises:
        UsageError: a layer has no masks.
    """
    for layer in (before, after):
        if "rle" not in layer.table.names:
            raise UsageError("the node writes no masks", layer.node, "Compare nodes that do")
    common = sorted(set(before.units()) & set(after.units()))
    end, found, blocks = time.monotonic() + seconds, list[Difference](), 0
    for unit in common:
        found += _of_block(before, after, unit)
        blocks += 1
        if time.monotonic() >= end or len(found) >= images:
            break
    found.sort(key=lambda one: (one.agreement, one.image_id))
    mean = float(np.mean([one.agreement for one in found])) if found else float("nan")
    return Differences(tuple(found[:count]), len(found), mean, blocks, len(common))


def agreement(before: Rows, after: Rows) -> float:
    """Mean over all masks of both sides of their best IoU with a mask of the other side; 1 if there are none.

    Args:
        before, after: rows of one image, with their masks.
    """
    if not len(before) or not len(after):
        return 1.0 if len(before) == len(after) else 0.0
    frame = max(*image_frames(before).values(), *image_frames(after).values())
    iou = masks.iou(masks_at(before, frame), masks_at(after, frame), *frame)
    return float(np.concatenate([iou.max(1), iou.max(0)]).mean())


def _of_block(before: Layer, after: Layer, unit: int) -> Iterator[Difference]:
    sides = []
    for layer in (before, after):
        names = [name for name in _COLUMNS if name in layer.table.names]
        rows = layer.read(unit, names)
        sides.append((rows, rows.by("image_id")))
    (old, of_old), (new, of_new) = sides
    none = np.zeros(0, np.int64)
    for image_id in sorted({*of_old, *of_new}):
        pair = _best(old.take(of_old.get(image_id, none))), _best(new.take(of_new.get(image_id, none)))
        yield Difference(image_id, agreement(*pair), len(pair[0]), len(pair[1]))


def _best(rows: Rows) -> Rows:
    if len(rows) <= MAX_MASKS or "score" not in rows.columns:
        return rows.take(slice(0, MAX_MASKS))
    return rows.take(np.argsort(-rows["score"], kind="stable")[:MAX_MASKS])
