"""Draws single masks as small square pictures, and several of them side by side.

Pure drawing: arrays in, a PIL image out. What lies around a mask is greyed, what it covers keeps its own colours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from pdstore.masks import resize_nearest
from stages.kernels.pictures import colour_of

__all__ = ["draw_crop", "mosaic"]

Pixels = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

MARGIN = 0.3
"""What is shown on each side of the mask, as a share of the longer side of its box."""
MIN_SHARE = 0.25
"""A crop shows at least this share of the image's longer side, so that one sees what the mask is a part of."""
TINT = 0.22
"""Weight of the colour in what the mask covers."""
FADE, LIGHT = 0.55, 210
"""Around the mask, pixels keep this share of their grey value; the rest is this grey level."""
EDGE_PX = 2


def draw_crop(pixels: Pixels, mask: Bools, number: int, side_px: int) -> Image.Image:
    """The surroundings of a mask as a square RGBA picture; it is transparent where the image has ended.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        mask: (h, w) bool over the whole image, at any size, with at least one pixel.
        number: :func:`stages.kernels.pictures.colour_of` turns it into the colour of the tint and the outline.
        side_px: length of the picture's sides.
    """
    height, width = pixels.shape[:2]
    scale = np.array([height, width]) / np.array(mask.shape)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    low, high = np.array([rows[0], columns[0]]) * scale, np.array([rows[-1] + 1, columns[-1] + 1]) * scale
    longest = float((high - low).max())
    side = max((1 + 2 * MARGIN) * longest, MIN_SHARE * max(height, width))
    # Rather less around the mask than a square that reaches beyond the image.
    side = max(min(side, height, width), longest)
    (top, bottom), (left, right) = (
        _span(a, b, side, length) for a, b, length in zip(low, high, (height, width), strict=True)
    )
    part = pixels[top:bottom, left:right]
    covered = mask[np.ix_(_sources(top, bottom, scale[0], len(mask)), _sources(left, right, scale[1], mask.shape[1]))]
    enlarged = side_px / max(part.shape[:2])
    tall, wide = (max(1, round(length * enlarged)) for length in part.shape[:2])
    drawn = _drawn(part, covered, number, 2 * tall, 2 * wide).resize((wide, tall), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (side_px, side_px))
    square.paste(drawn, ((side_px - wide) // 2, (side_px - tall) // 2))
    return square


def mosaic(crops: Sequence[Image.Image], columns: int, gap_px: int) -> Image.Image:
    """Square pictures of one size, row by row, on a transparent ground."""
    side = crops[0].width
    rows = -(-len(crops) // columns)
    sheet = Image.new("RGBA", (columns * (side + gap_px) - gap_px, rows * (side + gap_px) - gap_px))
    for position, crop in enumerate(crops):
        row, column = divmod(position, columns)
        sheet.paste(crop, (column * (side + gap_px), row * (side + gap_px)))
    return sheet


def _span(low: float, high: float, side: float, length: int) -> tuple[int, int]:
    """The pixels from ``first`` to before ``last`` around the middle of a box, moved into the image."""
    size = min(round(side), length)
    first = min(max(round((low + high - size) / 2), 0), length - size)
    return first, first + max(size, 1)


def _sources(first: int, last: int, scale: float, length: int) -> npt.NDArray[np.int64]:
    """For each pixel of a span, the row or column of the mask that lies there."""
    centres = (np.arange(first, last) + 0.5) / scale
    return np.minimum(centres.astype(np.int64), length - 1)


def _drawn(part: Pixels, covered: Bools, number: int, tall: int, wide: int) -> Image.Image:
    canvas = np.asarray(Image.fromarray(part).resize((wide, tall), Image.Resampling.LANCZOS), np.float32)
    inside = resize_nearest(covered, tall, wide)
    colour = np.array(colour_of(number), np.float32)
    grey = canvas.mean(axis=2, keepdims=True)
    canvas = np.where(inside[..., None], (1 - TINT) * canvas + TINT * colour, FADE * grey + (1 - FADE) * LIGHT)
    canvas[_outline(inside)] = colour
    return Image.fromarray(canvas.clip(0, 255).astype(np.uint8))


def _outline(inside: Bools) -> Bools:
    """(H, W) bool: pixels of the mask within ``EDGE_PX``, along a row or a column, of a pixel outside it."""
    edge = np.zeros(inside.shape, bool)
    for axis in (0, 1):
        mask, marks = np.moveaxis(inside, axis, 0), np.moveaxis(edge, axis, 0)
        for shift in range(1, 2 * EDGE_PX):
            marks[shift:] |= mask[shift:] & ~mask[:-shift]
            marks[:-shift] |= mask[:-shift] & ~mask[shift:]
    return edge
