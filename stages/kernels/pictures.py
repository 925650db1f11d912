"""Draws masks on images as coloured areas with outlines, and lays out many such pictures on a sheet with titles.

Pure drawing: arrays in, a PIL image out. Each number has its own colour, so a cluster has the same colour in every
image and every column of a sheet.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from pdstore.masks import resize_nearest

__all__ = ["Cell", "Overlay", "Row", "colour_of", "draw_overlay", "draw_shares", "draw_sheet", "fitted"]

Pixels = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

_PALETTE = (
    (230, 57, 70), (42, 157, 244), (255, 183, 3), (46, 196, 110), (157, 78, 221), (255, 122, 36),
    (0, 204, 204), (240, 98, 180), (154, 205, 50), (90, 110, 235), (176, 122, 84), (250, 235, 110),
)  # fmt: skip
_GOLDEN = 0.618033988749895

ALPHA = 0.5
"""Weight of the mask's colour in a covered pixel."""
FADE, LIGHT = 0.75, 230
"""Pixels that no mask covers keep this share of their value; the rest is this grey level."""
EDGE = 0.85
"""Brightness of an outline, relative to its colour."""
MARGIN_PX, GAP_PX, TITLE_PX, CAPTION_PX = 16, 10, 26, 22
BAR_PX, BAR_WIDTH_PX, NAME_PX = 18, 480, 160
PAPER, INK, FAINT = (250, 250, 248), (28, 30, 34), (128, 130, 136)


@dataclass(frozen=True)
class Overlay:
    """The masks that one node has for one image.

    Attributes:
        masks: (N, H, W) bool over the image, at any size, best first: where masks overlap, the first is on top.
        colours: (N,) numbers, which :func:`colour_of` turns into colours.
        caption: a few words below the picture.
    """

    masks: Bools
    colours: Sequence[int]
    caption: str = ""


@dataclass(frozen=True)
class Cell:
    """A picture in a sheet; without an overlay it is the bare image."""

    overlay: Overlay | None = None
    caption: str = ""


@dataclass(frozen=True)
class Row:
    """One image of a sheet.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        cells: one per column.
    """

    pixels: Pixels
    cells: Sequence[Cell]


def colour_of(number: int) -> tuple[int, int, int]:
    """RGB of a number: twelve colours that are easy to tell apart, then further hues."""
    if 0 <= number < len(_PALETTE):
        return _PALETTE[number]
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1.0, 0.45 + 0.4 * (number % 2), 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_overlay(pixels: Pixels, overlay: Overlay, width: int, height: int) -> Image.Image:
    """The image at (width, height), slightly greyed, with the masks as coloured areas and outlines."""
    # Drawn at twice the size and then reduced, for smooth outlines.
    wide, tall = 2 * width, 2 * height
    canvas = np.asarray(_resized(pixels, wide, tall), np.float32)
    # The image loses some of its colour, so that it is not mistaken for the colour of a mask.
    canvas = 0.45 * canvas + 0.55 * canvas.mean(axis=2, keepdims=True)
    owner = np.full((tall, wide), -1, np.int64)
    for number in range(len(overlay.masks) - 1, -1, -1):
        owner[resize_nearest(overlay.masks[number], tall, wide)] = number
    colours = np.array([colour_of(c) for c in overlay.colours] or [(0, 0, 0)], np.float32)
    covered = owner >= 0
    canvas[covered] = (1 - ALPHA) * canvas[covered] + ALPHA * colours[owner[covered]]
    canvas[~covered] = FADE * canvas[~covered] + (1 - FADE) * LIGHT
    edges = _edges(owner) & covered
    canvas[edges] = EDGE * colours[owner[edges]]
    picture = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def draw_sheet(titles: Sequence[str], rows: Sequence[Row], cell_px: int) -> Image.Image:
    """A table of pictures: one row per image, one column per title.

    Args:
        titles: of the columns.
        rows: from top to bottom, each with one cell per title.
        cell_px: length of the longer side of each picture; smaller images are enlarged to it.
    """
    title_font, font = ImageFont.load_default(15), ImageFont.load_default(13)
    sizes = [fitted(row.pixels, cell_px) for row in rows]
    column_px = max((width for width, _ in sizes), default=cell_px)
    widths = [max(column_px, round(title_font.getlength(title))) for title in titles]
    height = 2 * MARGIN_PX + TITLE_PX + sum(h + CAPTION_PX + GAP_PX for _, h in sizes)
    sheet = Image.new("RGB", (2 * MARGIN_PX + sum(widths) + GAP_PX * (len(titles) - 1), height), PAPER)
    pen = ImageDraw.Draw(sheet)
    lefts = [MARGIN_PX + sum(widths[:i]) + GAP_PX * i for i in range(len(titles))]
    for left, title in zip(lefts, titles, strict=True):
        pen.text((left, MARGIN_PX - 4), title, INK, title_font)
    top = MARGIN_PX + TITLE_PX
    for row, (width, tall) in zip(rows, sizes, strict=True):
        for left, room, cell in zip(lefts, widths, row.cells, strict=True):
            overlay = cell.overlay
            bare = _resized(row.pixels, width, tall)
            sheet.paste(bare if overlay is None else draw_overlay(row.pixels, overlay, width, tall), (left, top))
            caption = cell.caption if overlay is None else overlay.caption
            pen.text((left, top + tall + 3), _shortened(caption, font, room), FAINT, font)
        top += tall + CAPTION_PX + GAP_PX
    return sheet


def draw_shares(bars: Sequence[tuple[str, Mapping[int, int]]]) -> Image.Image:
    """Bars of equal length, one below the other, each with a name and divided in proportion to its sizes.

    Args:
        bars: (name, number -> size); the number gives the colour.
    """
    font = ImageFont.load_default(13)
    height = 2 * MARGIN_PX + max(1, len(bars)) * (BAR_PX + GAP_PX)
    sheet = Image.new("RGB", (2 * MARGIN_PX + NAME_PX + BAR_WIDTH_PX, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    for row, (name, sizes) in enumerate(bars):
        top, left, total = MARGIN_PX + row * (BAR_PX + GAP_PX), MARGIN_PX + NAME_PX, max(1, sum(sizes.values()))
        pen.text((MARGIN_PX, top), _shortened(name, font, NAME_PX - GAP_PX), INK, font)
        done = 0
        for number, size in sizes.items():
            start, done = left + BAR_WIDTH_PX * done // total, done + size
            if size:
                pen.rectangle((start, top, left + BAR_WIDTH_PX * done // total, top + BAR_PX), colour_of(number))
    return sheet


def fitted(pixels: Pixels, cell_px: int) -> tuple[int, int]:
    """(width, height) of the image with its longer side at ``cell_px``."""
    height, width = pixels.shape[:2]
    scale = min(cell_px / width, cell_px / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resized(pixels: Pixels, width: int, height: int) -> Image.Image:
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)


def _edges(owner: npt.NDArray[np.int64]) -> Bools:
    """(H, W) bool: pixels within two pixels, along a row or a column, of a pixel with another owner."""
    edges = np.zeros(owner.shape, bool)
    for axis in (0, 1):
        numbers, marks = np.moveaxis(owner, axis, 0), np.moveaxis(edges, axis, 0)
        for shift in (1, 2):
            differs = numbers[shift:] != numbers[:-shift]
            marks[shift:] |= differs
            marks[:-shift] |= differs
    return edges


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room_px: int) -> str:
    if font.getlength(text) <= room_px:
        return text
    while text and font.getlength(text + "…") > room_px:
        text = text[:-1]
    return text + "…"
