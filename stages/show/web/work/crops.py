"""A square around one segment: the photograph, faded outside the segment, with its outline in the cluster's colour."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from pdstore import masks
from pdstore.errors import InputMissing, UsageError
from pdstore.masks import resize_nearest
from stages.kernels.pictures import colour_of
from stages.kernels.transparent import paint_outlines
from stages.mask_names import mask_colours
from stages.show.web.drawing import Drawing, Drawings
from stages.show.web.snapshots import Snapshot

__all__ = ["CROP_SIDES", "crop", "crop_etag", "draw_crop"]

CROP_SIDES = (120, 240)
PHOTO_SIDE = 1280
"""Longer side of the photograph that is cut."""
ROOM = 1.4
"""Side of the square relative to the longer side of the segment's box."""
LEAST_PX = 24
"""Least side of the square, in pixels of the photograph."""
FADE, LIGHT = 0.5, 235
"""Outside the segment a pixel keeps this share of its value; the rest is this grey level."""
SMOOTHING = 2
"""The crop is drawn this much larger and then reduced, for a smooth outline."""


def crop_etag(drawings: Drawings, snapshot: Snapshot, node: str, key: tuple[int, int, int], side: int) -> str:
    """What the crop would have as its ETag, without drawing it. Raises UsageError and InputMissing."""
    if side not in CROP_SIDES:
        raise UsageError(f"expected a size of {', '.join(map(str, CROP_SIDES))} pixels, found {side}", "side")
    return drawings.etag(snapshot, node, key[0], "crop", *key, side)


def crop(drawings: Drawings, snapshot: Snapshot, node: str, key: tuple[int, int, int], side: int) -> Drawing:
    """The crop around one row of a node's masks, as JPEG of (side, side) pixels.

    Args:
        key: image_id, object_id and the number of the row, such as ``label_id``.

    Raises:
        UsageError: there is no such size.
        InputMissing: there is no such row, or its image cannot be read.
    """
    etag = crop_etag(drawings, snapshot, node, key, side)
    rows = drawings.rows(snapshot, node, key[0])
    number = next((name for name in ("label_id", "part_id", "proposal_id") if name in rows.columns), "object_id")
    is_wanted = rows[number] == key[2]
    if "object_id" in rows.columns:
        is_wanted &= rows["object_id"] == key[1]
    rows = rows.take(is_wanted)
    if not len(rows):
        raise InputMissing("there is no such mask", f"{node}, image {key[0]}, object {key[1]}, number {key[2]}")
    photo = drawings.photograph(snapshot, key[0], PHOTO_SIDE)
    pixels = np.asarray(Image.open(io.BytesIO(photo.data)).convert("RGB"))
    mask = masks.decode_one(rows.ragged("rle")[0], int(rows["height"][0]), int(rows["width"][0]))
    picture = draw_crop(pixels, resize_nearest(mask, *pixels.shape[:2]), mask_colours(rows)[0], side)
    sink = io.BytesIO()
    picture.save(sink, "JPEG", quality=85)
    return Drawing(sink.getvalue(), "image/jpeg", etag)


def draw_crop(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_], colour: int, side: int) -> Image.Image:
    """The square around a mask; what lies outside of the picture is grey.

    Args:
        pixels: (H, W, 3) uint8 RGB. mask: (H, W) bool; the whole picture is shown if it is empty.
        colour: number, which :func:`stages.kernels.pictures.colour_of` turns into a colour.
        side: of the result, in pixels.
    """
    top, left, length = _square(mask)
    large = SMOOTHING * side
    canvas = np.full((length, length, 3), LIGHT, np.uint8)
    inside = np.zeros((length, length), bool)
    rows = slice(max(top, 0), min(top + length, mask.shape[0]))
    columns = slice(max(left, 0), min(left + length, mask.shape[1]))
    place = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    canvas[place], inside[place] = pixels[rows, columns], mask[rows, columns]
    picture = np.asarray(Image.fromarray(canvas).resize((large, large), Image.Resampling.BICUBIC), np.float32)
    segment = resize_nearest(inside, large, large)
    drawn = np.where(segment[..., None], picture, FADE * picture + (1 - FADE) * LIGHT)
    if segment.any():
        outline = paint_outlines(np.where(segment, 0, -1).astype(np.int32), [colour], 2 * SMOOTHING)[..., 3] > 0
        drawn[outline] = colour_of(colour)
    return Image.fromarray(drawn.clip(0, 255).astype(np.uint8)).resize((side, side), Image.Resampling.LANCZOS)


def _square(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int]:
    """(top, left, length) of the square around a mask; it may reach over the border of the picture."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        rows, columns = np.arange(mask.shape[0]), np.arange(mask.shape[1])
    height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
    length = max(round(ROOM * max(height, width)), LEAST_PX)
    return int(rows[0]) + (height - length) // 2, int(columns[0]) + (width - length) // 2, length
