"""Textures of parts: two tones of one colour in a pattern, whose size and direction differ from part to part."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["TEXTURES", "textured"]

Floats = npt.NDArray[np.float32]
Field = npt.NDArray[np.float64]
Pattern = Callable[[Field, Field, np.random.Generator], Field]

TURN_RAD = 0.25
"""How far a pattern is turned, as a standard deviation."""


def textured(colour: Floats, kind: str, side_px: int, rng: np.random.Generator) -> Floats:
    """(side_px, side_px, 3) float32: ``colour`` ((3,), 0 to 1) and a darker tone of it, in a pattern.

    Args:
        kind: a name in :data:`TEXTURES`.
    """
    rows, columns = np.mgrid[:side_px, :side_px].astype(np.float64) + rng.uniform(0, side_px, (2, 1, 1))
    angle = rng.normal(0, TURN_RAD)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    darkness = TEXTURES[kind](along, across, rng) * rng.uniform(0.3, 0.6)
    return (colour * (1 - darkness[..., None])).astype(np.float32)


def _plain(along: Field, across: Field, rng: np.random.Generator) -> Field:
    return np.zeros(along.shape)


def _stripes(along: Field, across: Field, rng: np.random.Generator) -> Field:
    return _waves(along, rng.uniform(10, 20))


def _bands(along: Field, across: Field, rng: np.random.Generator) -> Field:
    return _waves(across, rng.uniform(10, 20))


def _checks(along: Field, across: Field, rng: np.random.Generator) -> Field:
    period = rng.uniform(14, 24)
    return np.abs(_waves(along, period) - _waves(across, period))


def _dots(along: Field, across: Field, rng: np.random.Generator) -> Field:
    period, radius = rng.uniform(12, 20), rng.uniform(0.25, 0.38)
    x, y = along / period % 1 - 0.5, across / period % 1 - 0.5
    return (x**2 + y**2 < radius**2).astype(np.float64)


def _gradient(along: Field, across: Field, rng: np.random.Generator) -> Field:
    """A ramp that rises and falls along one direction, whichever."""
    turn = rng.uniform(0, np.pi)
    slope = along * np.cos(turn) + across * np.sin(turn)
    ramp: Field = np.abs(slope / rng.uniform(90, 160) % 2 - 1)
    return ramp


def _noise(along: Field, across: Field, rng: np.random.Generator) -> Field:
    """Blotches of a few pixels."""
    cells = int(rng.integers(24, 40))
    grain = Image.fromarray(rng.random((cells, cells)).astype(np.float32))
    height, width = along.shape
    blotches: Field = np.asarray(grain.resize((width, height), Image.Resampling.BILINEAR), np.float64)
    return blotches


def _waves(place: Field, period_px: float) -> Field:
    """1 in every other half of a period, else 0."""
    return (place / period_px % 1 < 0.5).astype(np.float64)


TEXTURES: Mapping[str, Pattern] = {
    "bands": _bands,
    "checks": _checks,
    "dots": _dots,
    "gradient": _gradient,
    "noise": _noise,
    "plain": _plain,
    "stripes": _stripes,
}
"""Kind -> a function (along, across, generator) of two coordinates in pixels, (H, W) each, to the pattern in [0, 1]."""
