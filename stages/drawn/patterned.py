"""The objects of the drawing ``textures``: two to seven parts, many of them repeated or mirrored, each with a texture.

The frame is that of :mod:`stages.drawn.shapes`. Nothing is tuned on these objects: they check what was tuned elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stages.drawn import shapes
from stages.drawn.shapes import ObjectClass, Part, Points, ellipse, limb, polygon

__all__ = ["CLASSES", "PERSON"]


def _box(left: float, top: float, right: float, bottom: float) -> Points:
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def _mirrored(points: Points) -> tuple[Points, Points]:
    """The polygon and its mirror image."""
    return points, points * (-1, 1)


def _house(rng: np.random.Generator) -> tuple[Part, ...]:
    eaves, top, ridge = rng.uniform(-0.2, 0.0), rng.uniform(-0.95, -0.8), rng.uniform(0.0, 0.55)
    wide = rng.uniform(0.72, 0.86)
    wall = _box(-wide, eaves - 0.02, wide, 0.92)
    roof = polygon((-wide - 0.16, eaves), (-ridge, top), (ridge, top), (wide + 0.16, eaves))
    stack = rng.uniform(0.3, 0.45)
    chimney = _box(stack, top - 0.14, stack + 0.24, eaves)
    columns = [-wide * 0.62, 0.0, wide * 0.62]
    place = int(rng.integers(3))
    half, lintel = rng.uniform(0.13, 0.17), rng.uniform(0.26, 0.36)
    door = _box(columns[place] - half, lintel, columns[place] + half, 0.92)
    size, sill = rng.uniform(0.14, 0.18), rng.uniform(0.5, 0.6)
    windows = tuple(_box(x - size, sill - 2 * size, x + size, sill) for n, x in enumerate(columns) if n != place)
    return (
        Part("chimney", (chimney,)),
        Part("wall", (wall,)),
        Part("roof", (roof,)),
        Part("door", (door,)),
        Part("window", windows),
    )


def _sailboat(rng: np.random.Generator) -> tuple[Part, ...]:
    deck, mast = rng.uniform(0.42, 0.55), rng.uniform(-0.12, 0.08)
    stern, keel = rng.uniform(0.55, 0.8), rng.uniform(0.85, 0.98)
    hull = polygon((-0.9, deck), (1.0, deck - 0.08), (stern, keel), (-0.62, keel))
    low = deck - rng.uniform(0.1, 0.18)
    sails = (
        polygon((mast + 0.09, -0.88), (mast + 0.09, low), (mast + rng.uniform(0.62, 0.85), low)),
        polygon((mast - 0.09, rng.uniform(-0.75, -0.5)), (mast - 0.09, low), (mast - rng.uniform(0.45, 0.65), low)),
    )
    return (
        Part("mast", (_box(mast - 0.07, -1.0, mast + 0.07, deck + 0.02),)),
        Part("sail", sails),
        Part("hull", (hull,)),
    )


def _tree(rng: np.random.Generator) -> tuple[Part, ...]:
    thick, fork = rng.uniform(0.12, 0.2), rng.uniform(0.1, 0.25)
    trunk = polygon((-thick * 0.8, fork - 0.3), (thick * 0.8, fork - 0.3), (thick * 1.3, 0.98), (-thick * 1.3, 0.98))
    if rng.random() < 0.5:
        tops, wide = np.array([-1.0, -0.62, -0.24]), rng.uniform(0.5, 0.62)
        layers = [(top, wide + 0.12 * number) for number, top in enumerate(tops)]
        crown = tuple(polygon((0, top), (half, top + 0.62), (-half, top + 0.62)) for top, half in layers)
    else:
        side = rng.uniform(0.28, 0.42)
        places = ((-side, -0.12, 0.42), (side, -0.12, 0.42), (rng.uniform(-0.1, 0.1), -0.5, 0.46))
        crown = tuple(ellipse(x, y, r * rng.uniform(0.95, 1.15), r) for x, y, r in places)
    return Part("trunk", (trunk,)), Part("crown", crown)


def _butterfly(rng: np.random.Generator) -> tuple[Part, ...]:
    tip, lift, low = rng.uniform(0.85, 1.0), rng.uniform(-0.85, -0.6), rng.uniform(0.6, 0.85)
    fore = polygon((0.05, -0.2), (0.35, lift + 0.1), (tip - 0.1, lift), (tip, lift + 0.3), (0.6, 0.05), (0.05, 0.12))
    hind = ellipse(0.42, low - 0.32, rng.uniform(0.34, 0.42), rng.uniform(0.3, 0.36), rng.uniform(0.3, 0.8))
    feeler = limb(0.03, -0.4, rng.uniform(0.45, 0.55), 0.09, np.pi - rng.uniform(0.3, 0.5))
    return (
        Part("hindwing", _mirrored(hind)),
        Part("forewing", _mirrored(fore)),
        Part("antenna", _mirrored(feeler)),
        Part("body", (ellipse(0, 0.06, rng.uniform(0.11, 0.15), rng.uniform(0.5, 0.6)),)),
    )


def _locomotive(rng: np.random.Generator) -> tuple[Part, ...]:
    rear, floor, top = rng.uniform(-0.42, -0.3), 0.36, rng.uniform(-0.26, -0.14)
    nose = ellipse(0.5, (top + floor) / 2, 0.26, (floor - top) / 2)
    boiler = np.concatenate([polygon((rear - 0.02, floor), (rear - 0.02, top)), nose[21:], nose[:8]])
    high = rng.uniform(-0.66, -0.56)
    cab, roof = _box(-0.92, high, rear, floor), _box(-1.02, high - 0.2, rear + 0.1, high + 0.02)
    window = _box(-0.8, high + 0.14, rear - 0.12, high + 0.44)
    stack, flare = rng.uniform(0.3, 0.46), rng.uniform(0.14, 0.2)
    rim = top - 0.42
    funnel = polygon((stack - flare, rim), (stack + flare, rim), (stack + 0.09, top + 0.03), (stack - 0.09, top + 0.03))
    bumper = polygon((0.62, 0.3), (0.78, 0.3), (1.06, 0.72), (0.62, 0.72))
    count = int(rng.integers(2, 5))
    radius = rng.uniform(0.18, 0.22)
    wheels = tuple(ellipse(x, 0.52, radius, radius) for x in np.linspace(-0.72, 0.42, count))
    return (
        Part("boiler", (boiler,)),
        Part("funnel", (funnel,)),
        Part("cab", (cab,)),
        Part("roof", (roof,)),
        Part("window", (window,)),
        Part("bumper", (bumper,)),
        Part("wheel", wheels),
    )


def _teapot(rng: np.random.Generator) -> tuple[Part, ...]:
    rx, ry = rng.uniform(0.52, 0.6), rng.uniform(0.46, 0.54)
    tip = rng.uniform(-0.42, -0.22)
    spout = polygon((0.36, 0.06), (0.74, tip), (1.0, tip - 0.04), (0.86, tip + 0.22), (0.42, 0.52))
    turn = np.linspace(0.5 * np.pi, 1.5 * np.pi, 14)
    bow, thick = rng.uniform(0.3, 0.38), rng.uniform(0.12, 0.15)
    radii = bow + thick / 2, bow - thick
    rims = [np.stack([-0.44 + 1.35 * r * np.cos(turn), 0.14 + r * np.sin(turn)], 1) for r in radii]
    handle = np.concatenate([rims[0], rims[1][::-1]])
    rim = 0.14 - ry * 0.8
    wide = rng.uniform(0.3, 0.36)
    lid = ellipse(0, rim, wide, rng.uniform(0.2, 0.26))[14:]
    knob = ellipse(0, rim - 0.3, 0.13, 0.12)
    return (
        Part("handle", (handle,)),
        Part("spout", (spout,)),
        Part("body", (ellipse(0, 0.16, rx, ry),)),
        Part("knob", (knob,)),
        Part("lid", (np.concatenate([lid, polygon((wide, rim + 0.08), (-wide, rim + 0.08))]),)),
    )


CLASSES: tuple[ObjectClass, ...] = (
    ObjectClass(
        "n03544360",
        "house",
        _house,
        {
            "chimney": (0.02, 0.55, 0.45),
            "wall": (0.12, 0.3, 0.8),
            "roof": (0.03, 0.7, 0.6),
            "door": (0.35, 0.6, 0.45),
            "window": (0.56, 0.45, 0.75),
        },
        {"chimney": "checks", "wall": "plain", "roof": "bands", "door": "stripes", "window": "gradient"},
    ),
    ObjectClass(
        "n04128499",
        "sailboat",
        _sailboat,
        {"mast": (0.09, 0.6, 0.4), "sail": (0.6, 0.25, 0.85), "hull": (0.98, 0.65, 0.6)},
        {"mast": "plain", "sail": "stripes", "hull": "bands"},
    ),
    ObjectClass(
        "n13104059",
        "tree",
        _tree,
        {"trunk": (0.07, 0.55, 0.45), "crown": (0.33, 0.6, 0.55)},
        {"trunk": "stripes", "crown": "noise"},
    ),
    ObjectClass(
        "n02274259",
        "butterfly",
        _butterfly,
        {
            "hindwing": (0.8, 0.55, 0.65),
            "forewing": (0.1, 0.75, 0.75),
            "antenna": (0.55, 0.5, 0.35),
            "body": (0.4, 0.45, 0.4),
        },
        {"hindwing": "dots", "forewing": "gradient", "antenna": "plain", "body": "bands"},
    ),
    ObjectClass(
        "n03684823",
        "locomotive",
        _locomotive,
        {
            "boiler": (0.36, 0.6, 0.5),
            "funnel": (0.66, 0.3, 0.4),
            "cab": (0.99, 0.7, 0.6),
            "roof": (0.1, 0.5, 0.45),
            "window": (0.53, 0.35, 0.8),
            "bumper": (0.82, 0.5, 0.5),
            "wheel": (0.7, 0.15, 0.3),
        },
        {
            "boiler": "stripes",
            "funnel": "plain",
            "cab": "dots",
            "roof": "plain",
            "window": "gradient",
            "bumper": "stripes",
            "wheel": "checks",
        },
    ),
    ObjectClass(
        "n04398044",
        "teapot",
        _teapot,
        {
            "handle": (0.1, 0.6, 0.6),
            "spout": (0.45, 0.55, 0.6),
            "body": (0.6, 0.45, 0.75),
            "knob": (0.0, 0.65, 0.65),
            "lid": (0.85, 0.5, 0.6),
        },
        {"handle": "bands", "spout": "gradient", "body": "dots", "knob": "plain", "lid": "noise"},
    ),
)

PERSON = replace(shapes.PERSON, textures={"leg": "noise", "arm": "plain", "torso": "checks", "head": "plain"})
