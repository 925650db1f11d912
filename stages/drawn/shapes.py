"""The objects that the demo draws by default: each has a few named parts, given as polygons in a unit frame.

Frame: x points right, y points down, and the object fits into about [-1, 1] on both axes. Parts come in painter's
order: later parts hide earlier ones. Proportions depend on the random generator, so no two objects are alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["CLASSES", "PERSON", "ObjectClass", "Part", "Points", "ellipse", "limb", "polygon"]

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """All polygons of one name, each (M, 2) points in the unit frame."""

    name: str
    polygons: tuple[Points, ...]


@dataclass(frozen=True)
class ObjectClass:
    """A class that can be drawn.

    Attributes:
        wnid: WordNet id, which names the class's folder.
        name: class name in lower case.
        build: makes the parts of one object, with proportions drawn from the generator.
        colours: part name -> mean hue, saturation and value, each in [0, 1].
        textures: part name -> its kind of :data:`stages.drawn.textures.TEXTURES`; empty if parts have plain colours,
            now and then with a marking.
    """

    wnid: str
    name: str
    build: Callable[[np.random.Generator], tuple[Part, ...]]
    colours: dict[str, tuple[float, float, float]]
    textures: dict[str, str] = field(default_factory=dict)


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> Points:
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    local = np.stack([rx * np.cos(turn), ry * np.sin(turn)], 1)
    cos, sin = np.cos(angle), np.sin(angle)
    points: Points = local @ np.array([[cos, sin], [-sin, cos]]) + np.array([x, y])
    return points


def polygon(*points: tuple[float, float]) -> Points:
    return np.array(points, np.float64)


def limb(x: float, y: float, length: float, width: float, angle: float) -> Points:
    """A bar that starts at (x, y). At angle 0 it points down; the angle is in radians, positive to the right."""
    along = np.array([np.sin(angle), np.cos(angle)])
    across = np.array([along[1], -along[0]]) * width / 2
    start = np.array([x, y])
    end = start + along * length
    return np.stack([start - across, start + across, end + across * 0.9, end - across * 0.9])


def _car(rng: np.random.Generator) -> tuple[Part, ...]:
    roof, front, rear = rng.uniform(-0.62, -0.48), rng.uniform(0.4, 0.6), rng.uniform(0.5, 0.72)
    hull = polygon((-1, 0.3), (-0.98, -0.05), (-rear, -0.1), (-rear + 0.2, roof), (front - 0.25, roof))
    nose = polygon((front, -0.08), (0.95, 0.02), (1, 0.32))
    middle = rng.uniform(-0.12, 0.02)
    rows = -0.1, roof + 0.07
    windows = (
        polygon((-rear + 0.14, rows[0]), (-rear + 0.28, rows[1]), (middle - 0.05, rows[1]), (middle - 0.05, rows[0])),
        polygon((middle + 0.05, -0.06), (middle + 0.05, rows[1]), (front - 0.28, rows[1]), (front - 0.1, rows[0])),
    )
    radius = rng.uniform(0.2, 0.26)
    wheels = tuple(ellipse(x + rng.uniform(-0.04, 0.04), 0.34, radius, radius) for x in (-0.56, 0.56))
    return Part("body", (np.concatenate([hull, nose]),)), Part("window", windows), Part("wheel", wheels)


def _bird(rng: np.random.Generator) -> tuple[Part, ...]:
    rx, ry = rng.uniform(0.44, 0.54), rng.uniform(0.28, 0.36)
    lift, reach = rng.uniform(-0.2, 0.15), rng.uniform(0.85, 1.0)
    tail = polygon((-0.35, -0.08), (-reach, lift - 0.24), (-reach, lift + 0.2), (-0.35, 0.18))
    head_y = rng.uniform(-0.42, -0.28)
    head = ellipse(0.56, head_y, rng.uniform(0.2, 0.25), rng.uniform(0.19, 0.23))
    beak = polygon((0.72, head_y - 0.1), (0.98, head_y + 0.03), (0.72, head_y + 0.12))
    if rng.random() < 0.5:
        wing = ellipse(-0.05, 0.04, 0.32, 0.15, rng.uniform(-0.5, 0.2))
    else:
        wing = polygon((-0.28, 0.05), (rng.uniform(-0.5, -0.2), -0.72), (0.12, -0.62), (0.22, 0.02))
    return (
        Part("tail", (tail,)),
        Part("body", (ellipse(0, 0.1, rx, ry),)),
        Part("head", (head, beak)),
        Part("wing", (wing,)),
    )


def _fish(rng: np.random.Generator) -> tuple[Part, ...]:
    rx, ry = rng.uniform(0.58, 0.68), rng.uniform(0.28, 0.38)
    notch, spread = rng.uniform(-0.78, -0.7), rng.uniform(0.3, 0.42)
    tail = polygon((-0.5, 0.0), (-1.0, -spread), (notch, 0.0), (-1.0, spread))
    lean = rng.uniform(-0.2, 0.05)
    top = polygon((-0.2, -ry * 0.8), (lean - 0.1, -ry - 0.3), (0.3, -ry * 0.75))
    bottom = polygon((-0.15, ry * 0.8), (lean - 0.05, ry + 0.28), (0.25, ry * 0.8))
    return Part("tail", (tail,)), Part("fin", (top, bottom)), Part("body", (ellipse(0.1, 0, rx, ry),))


def _chair(rng: np.random.Generator) -> tuple[Part, ...]:
    top, width, lean = rng.uniform(-1.0, -0.85), rng.uniform(0.4, 0.5), rng.uniform(-0.1, 0.1)
    back = polygon((-width + lean, top), (width + lean, top), (width - 0.04, 0.05), (-width + 0.04, 0.05))
    deep = rng.uniform(0.2, 0.3)
    seat = polygon((-width, 0.0), (width, 0.0), (width + 0.14, deep), (-width - 0.14, deep))
    bar, length = rng.uniform(0.13, 0.18), rng.uniform(0.62, 0.76)
    places = np.array([-width - 0.02, -width / 3, width / 3, width + 0.02])
    legs = tuple(limb(x, deep - 0.02, length, bar, x * 0.15) for x in places)
    return Part("leg", legs), Part("back", (back,)), Part("seat", (seat,))


def _lamp(rng: np.random.Generator) -> tuple[Part, ...]:
    narrow, wide, low = rng.uniform(0.2, 0.34), rng.uniform(0.5, 0.66), rng.uniform(-0.32, -0.15)
    shade = polygon((-narrow, -0.95), (narrow, -0.95), (wide, low), (-wide, low))
    thick = rng.uniform(0.1, 0.15)
    stand = polygon((-thick, low), (thick, low), (thick * 1.2, 0.8), (-thick * 1.2, 0.8))
    if rng.random() < 0.5:
        base = ellipse(0, 0.82, rng.uniform(0.4, 0.52), 0.17)
    else:
        foot = rng.uniform(0.4, 0.52)
        base = polygon((-0.25, 0.62), (0.25, 0.62), (foot, 0.98), (-foot, 0.98))
    return Part("stand", (stand,)), Part("base", (base,)), Part("shade", (shade,))


def _airplane(rng: np.random.Generator) -> tuple[Part, ...]:
    slim, sweep = rng.uniform(0.16, 0.21), rng.uniform(-0.55, -0.3)
    rear, front = ellipse(0.3, 0, 1.2, slim), ellipse(0.3, 0, 0.68, slim)
    body = np.concatenate([rear[7:22], front[21:], front[:8]])
    wings = (
        polygon((0.28, 0.02), (-0.12, 0.02), (sweep, 0.8), (sweep + 0.34, 0.8)),
        polygon((0.2, -slim * 0.7), (-0.1, -slim * 0.7), (sweep + 0.1, -0.6), (sweep + 0.36, -0.6)),
    )
    tail = polygon((-0.88, 0.02), (-1.02, -0.62), (-0.66, -0.62), (-0.26, -0.1))
    size = rng.uniform(0.13, 0.16)
    engines = tuple(ellipse(x, y, 0.26, size) for x, y in ((0.28, 0.36), (0.02, 0.68)))
    return Part("wing", wings), Part("tail", (tail,)), Part("body", (body,)), Part("engine", engines)


def _person(rng: np.random.Generator) -> tuple[Part, ...]:
    broad = rng.uniform(0.24, 0.3)
    torso = polygon((-broad, -0.55), (broad, -0.55), (broad * 0.9, 0.12), (-broad * 0.9, 0.12))
    head = ellipse(rng.uniform(-0.05, 0.05), -0.76, 0.17, 0.22)
    left, right = rng.uniform(0.15, 0.9, 2)
    arms = (limb(-broad, -0.46, 0.58, 0.17, -left), limb(broad, -0.46, 0.58, 0.17, right))
    stride = rng.uniform(0.05, 0.3, 2)
    legs = (limb(-0.13, 0.08, 0.9, 0.23, -stride[0]), limb(0.13, 0.08, 0.9, 0.23, stride[1]))
    return Part("leg", legs), Part("arm", arms), Part("torso", (torso,)), Part("head", (head,))


CLASSES: tuple[ObjectClass, ...] = (
    ObjectClass(
        "n02958343",
        "car",
        _car,
        {"body": (0.0, 0.75, 0.65), "window": (0.58, 0.35, 0.7), "wheel": (0.75, 0.12, 0.2)},
    ),
    ObjectClass(
        "n01503061",
        "bird",
        _bird,
        {"tail": (0.72, 0.6, 0.5), "body": (0.14, 0.7, 0.7), "head": (0.97, 0.7, 0.6), "wing": (0.33, 0.65, 0.5)},
    ),
    ObjectClass(
        "n02512053",
        "fish",
        _fish,
        {"tail": (0.08, 0.75, 0.7), "fin": (0.85, 0.6, 0.5), "body": (0.5, 0.65, 0.65)},
    ),
    ObjectClass(
        "n03001627",
        "chair",
        _chair,
        {"leg": (0.13, 0.6, 0.45), "back": (0.05, 0.65, 0.4), "seat": (0.4, 0.6, 0.55)},
    ),
    ObjectClass(
        "n03636649",
        "lamp",
        _lamp,
        {"stand": (0.55, 0.4, 0.55), "base": (0.88, 0.6, 0.4), "shade": (0.15, 0.65, 0.75)},
    ),
    ObjectClass(
        "n02691156",
        "airplane",
        _airplane,
        {
            "wing": (0.62, 0.6, 0.55),
            "tail": (0.0, 0.7, 0.6),
            "body": (0.1, 0.35, 0.8),
            "engine": (0.35, 0.55, 0.45),
        },
    ),
)

PERSON = ObjectClass(
    "n00007846",
    "person",
    _person,
    {"leg": (0.66, 0.35, 0.25), "arm": (0.07, 0.5, 0.65), "torso": (0.58, 0.55, 0.5), "head": (0.06, 0.4, 0.75)},
)
