"""Images of the demo: drawn objects whose pixels mislead in a single image, but not over many images together.

Like photographs, they are hard in several ways: now and then a part has the hue of a sibling, a two-tone marking or
another texture than usual; light varies across the object; shadows and highlights cross the borders of parts; each
image has a colour cast and an exposure of its own; pixels are noisy; the background is textured and holds distractors.
Without these difficulties, clustering pixels would be enough and there would be nothing to learn.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from pdstore.stream import generator
from stages.drawn.drawings import DRAWINGS
from stages.drawn.presence import SHAPES
from stages.drawn.shapes import ObjectClass, Points
from stages.drawn.textures import TEXTURES, textured

__all__ = ["SIZE_PX", "Drawing", "draw"]

SIZE_PX = 96
CANVAS_PX = 2 * SIZE_PX

PERSON_RATIO = 0.22
SIBLING_HUE_RATIO = 0.12
MARKING_RATIO = 0.25
SHADOW_RATIO = 0.55
SPECULAR_RATIO = 0.45
DISTRACTOR_RATIO = 0.15
LIGHT = 0.5
CAST = 0.18
EXPOSURE = 0.4
OTHER_TEXTURE_RATIO = 0.15
HUE_JITTER = 0.06
NOISE = 0.06

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Placed = tuple[str, list[Points]]


@dataclass(frozen=True)
class Drawing:
    """One image and its ground truth.

    Attributes:
        image: (96, 96, 3) uint8, RGB.
        parts: (object name, part name, (96, 96) bool mask of its visible pixels); masks are disjoint and not empty.
    """

    image: npt.NDArray[np.uint8]
    parts: list[tuple[str, str, Bools]]


def draw(seed: int, index: int, wnid: str, drawing: str = SHAPES) -> Drawing:
    """Image ``index`` of the data set with ``seed``. A pure function, so any process can draw any image.

    Args:
        wnid: of a class of the drawing.
        drawing: a name in :data:`stages.drawn.drawings.DRAWINGS`.
    """
    subjects = DRAWINGS[drawing]
    rng = generator(*subjects.stream, seed, index)
    main = next(drawable for drawable in subjects.classes if drawable.wnid == wnid)
    canvas = _background(rng)
    for _ in range(rng.integers(0, 3)):
        _clutter(canvas, rng)
    if rng.random() < DISTRACTOR_RATIO:
        others = [drawable for drawable in subjects.classes if drawable is not main]
        corner = rng.choice([0.13, 0.87], 2) + rng.uniform(-0.03, 0.03, 2)
        _paint_object(canvas, others[rng.integers(len(others))], corner, rng.uniform(0.1, 0.14), rng)
    truth: list[tuple[str, str, Bools]] = []
    with_person = rng.random() < PERSON_RATIO
    side = rng.choice([-1.0, 1.0])
    if with_person:
        centre = np.array([0.5 + side * rng.uniform(0.27, 0.33), rng.uniform(0.45, 0.55)])
        truth += _paint_object(canvas, subjects.person, centre, rng.uniform(0.3, 0.38), rng)
    shift = -side * rng.uniform(0.12, 0.18) if with_person else rng.uniform(-0.06, 0.06)
    size = rng.uniform(0.3, 0.36) if with_person else rng.uniform(0.37, 0.47)
    truth += _paint_object(canvas, main, np.array([0.5 + shift, rng.uniform(0.44, 0.56)]), size, rng)
    _shadows(canvas, rng)
    canvas *= 1 + rng.uniform(-CAST, CAST, 3).astype(np.float32)
    canvas *= np.float32(np.exp(rng.uniform(-EXPOSURE, EXPOSURE)))
    canvas += rng.normal(0, NOISE, canvas.shape).astype(np.float32)
    pixels = np.clip(canvas, 0, 1).reshape(SIZE_PX, 2, SIZE_PX, 2, 3).mean((1, 3))
    return Drawing(np.round(pixels * 255).astype(np.uint8), _visible(truth))


def _background(rng: np.random.Generator) -> Floats:
    """(CANVAS_PX, CANVAS_PX, 3) float32: one colour under noise of four grain sizes."""
    colour = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.3), rng.uniform(0.4, 0.7))
    canvas = np.full((CANVAS_PX, CANVAS_PX, 3), colour, np.float32)
    for cells, strength in ((3, 0.06), (8, 0.05), (24, 0.04), (96, 0.03)):
        grey, tint = rng.normal(0, strength, (cells, cells, 1)), rng.normal(0, strength / 3, (cells, cells, 3))
        grain = (grey + tint).astype(np.float32)
        canvas += np.stack([_enlarge(grain[..., channel]) for channel in range(3)], -1)
    return canvas


def _enlarge(field: Floats) -> Floats:
    return np.asarray(Image.fromarray(field).resize((CANVAS_PX, CANVAS_PX), Image.Resampling.BICUBIC))


def _clutter(canvas: Floats, rng: np.random.Generator) -> None:
    """Paint a blob or a stick of any colour, anywhere."""
    x, y = rng.uniform(0, CANVAS_PX, 2)
    sheet = Image.new("1", (CANVAS_PX, CANVAS_PX))
    pen = ImageDraw.Draw(sheet)
    if rng.random() < 0.5:
        rx, ry = rng.uniform(8, 26, 2)
        pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=1)
    else:
        dx, dy = rng.uniform(-80, 80, 2)
        pen.line((x, y, x + dx, y + dy), fill=1, width=int(rng.integers(4, 10)))
    colour = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.8))
    canvas[np.asarray(sheet)] = colour


def _paint_object(
    canvas: Floats, drawable: ObjectClass, centre: npt.NDArray[np.float64], size: float, rng: np.random.Generator
) -> list[tuple[str, str, Bools]]:
    """Paint one object onto the canvas. Returns the masks of its parts on the canvas, in painter's order."""
    parts = [(name, _fill(polygons)) for name, polygons in _pose(drawable, centre, size, rng)]
    whole = np.logical_or.reduce([mask for _, mask in parts])
    for name, mask in parts:
        canvas[mask] = _surface(drawable, name, rng)[mask]
    rows, columns = np.nonzero(whole)
    angle = rng.uniform(0, 2 * np.pi)
    slope = columns * np.cos(angle) + rows * np.sin(angle)
    slope = (slope - slope.mean()) / max(np.ptp(slope) / 2, 1)
    canvas[whole] *= (1 + LIGHT * slope).astype(np.float32)[:, None]
    if rng.random() < SPECULAR_RATIO:
        _specular(canvas, whole, rng)
    return [(drawable.name, name, mask) for name, mask in parts]


def _pose(
    drawable: ObjectClass, centre: npt.NDArray[np.float64], size: float, rng: np.random.Generator
) -> list[Placed]:
    """The object's polygons in canvas pixels: stretched, flipped, rotated, moved."""
    stretch = rng.uniform(0.88, 1.12, 2) * (rng.choice([-1, 1]), 1)
    angle = np.clip(rng.normal(0, 0.2), -0.5, 0.5)
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.diag(stretch) @ np.array([[cos, sin], [-sin, cos]]) * size * CANVAS_PX
    return [(part.name, [p @ linear + centre * CANVAS_PX for p in part.polygons]) for part in drawable.build(rng)]


def _fill(polygons: list[Points]) -> Bools:
    sheet = Image.new("1", (CANVAS_PX, CANVAS_PX))
    pen = ImageDraw.Draw(sheet)
    for points in polygons:
        pen.polygon([(float(x), float(y)) for x, y in points], fill=1)
    return np.asarray(sheet)


def _surface(drawable: ObjectClass, name: str, rng: np.random.Generator) -> Floats:
    """(CANVAS_PX, CANVAS_PX, 3) float32: the part's colour and texture or marking, without light."""
    hue, saturation, value = drawable.colours[name]
    if rng.random() < SIBLING_HUE_RATIO:
        siblings = [colour for other, colour in drawable.colours.items() if other != name]
        hue, saturation, _ = siblings[rng.integers(len(siblings))]
    hue += rng.normal(0, HUE_JITTER)
    saturation = np.clip(saturation + rng.normal(0, 0.1), 0.02, 0.95)
    value = np.clip(value + rng.normal(0, 0.1), 0.1, 0.95)
    colour = np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), np.float32)
    if drawable.textures:
        kinds = sorted(TEXTURES)
        is_other = rng.random() < OTHER_TEXTURE_RATIO
        kind = kinds[rng.integers(len(kinds))] if is_other else drawable.textures[name]
        return textured(colour, kind, CANVAS_PX, rng)
    sheet = np.broadcast_to(colour, (CANVAS_PX, CANVAS_PX, 3)).copy()
    if rng.random() < MARKING_RATIO:
        angle, period = rng.uniform(0, np.pi), rng.uniform(10, 26)
        rows, columns = np.mgrid[:CANVAS_PX, :CANVAS_PX]
        stripe = np.sin((columns * np.cos(angle) + rows * np.sin(angle)) * 2 * np.pi / period) > 0
        sheet[stripe] *= rng.uniform(0.35, 0.65)
    return sheet


def _specular(canvas: Floats, whole: Bools, rng: np.random.Generator) -> None:
    rows, columns = np.nonzero(whole)
    for _ in range(rng.integers(1, 3)):
        spot = rng.integers(len(rows))
        distance = (rows - rows[spot]) ** 2 + (columns - columns[spot]) ** 2
        glow = 0.7 * np.exp(-distance / (2 * rng.uniform(5, 10) ** 2))
        canvas[rows, columns] += glow[:, None].astype(np.float32)


def _shadows(canvas: Floats, rng: np.random.Generator) -> None:
    """Paint up to two soft bands that darken whatever they cross by 30 to 55 percent."""
    for _ in range(2):
        if rng.random() >= SHADOW_RATIO:
            continue
        centre = rng.uniform(0.2, 0.8, 2) * CANVAS_PX
        sheet = Image.new("L", (CANVAS_PX, CANVAS_PX))
        across = rng.uniform(12, 34)
        band = np.array([(-300, -across), (300, -across), (300, across), (-300, across)])
        angle = rng.uniform(0, np.pi)
        rotated = band @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + centre
        ImageDraw.Draw(sheet).polygon([(float(x), float(y)) for x, y in rotated], fill=255)
        soft = np.asarray(sheet.filter(ImageFilter.GaussianBlur(rng.uniform(2, 6))), np.float32) / 255
        canvas *= 1 - rng.uniform(0.3, 0.55) * soft[..., None]


def _visible(truth: list[tuple[str, str, Bools]]) -> list[tuple[str, str, Bools]]:
    """Masks on the canvas in painter's order -> disjoint masks at image size, without the empty ones."""
    top = np.zeros((CANVAS_PX, CANVAS_PX), np.int64)
    for number, (_, _, mask) in enumerate(truth, start=1):
        top[mask] = number
    layers = (top == np.arange(len(truth) + 1)[:, None, None]).reshape(-1, SIZE_PX, 2, SIZE_PX, 2).sum((2, 4))
    owner = layers[::-1].argmax(0)  # if two share a pixel evenly, the upper one gets it
    owner = len(truth) - owner
    visible = [(name, part, owner == number) for number, (name, part, _) in enumerate(truth, start=1)]
    return [(name, part, mask) for name, part, mask in visible if mask.any()]
