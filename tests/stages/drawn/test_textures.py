from __future__ import annotations

import numpy as np
import pytest

from stages.drawn.textures import TEXTURES, textured

COLOUR = np.array([0.2, 0.5, 0.8], np.float32)


def painted(kind: str, seed: int = 0) -> np.ndarray:
    return textured(COLOUR, kind, 96, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", TEXTURES)
def test_a_texture_is_tones_of_its_colour(kind: str) -> None:
    """No pixel is lighter than the colour or much darker, and none has another hue; both tones cover an area."""
    sheet = painted(kind)
    assert sheet.shape == (96, 96, 3) and sheet.dtype == np.float32
    tones = sheet / COLOUR
    assert np.allclose(tones[..., :1], tones, atol=1e-5) and tones.max() <= 1 + 1e-6 and tones.min() > 0.35
    darker = (tones[..., 0] < tones[..., 0].mean()).mean()
    assert darker == 0 if kind == "plain" else 0.15 < darker < 0.85


def test_patterns_run_as_their_names_say() -> None:
    """Stripes change along a row of pixels, bands down a column, and checks along both."""
    changes = {}
    for kind in ("stripes", "bands", "checks"):
        sheets = np.stack([painted(kind, seed)[..., 0] for seed in range(8)])
        changes[kind] = [(np.diff(sheets, axis=axis) != 0).mean() for axis in (2, 1)]
    assert changes["stripes"][0] > 2 * changes["stripes"][1] and changes["bands"][1] > 2 * changes["bands"][0]
    assert min(changes["checks"]) > max(changes["stripes"][1], changes["bands"][0])


@pytest.mark.parametrize("kind", sorted(set(TEXTURES) - {"plain"}))
def test_no_two_are_alike(kind: str) -> None:
    """Another seed gives another place and size of the pattern, the same seed the same bytes."""
    assert np.array_equal(painted(kind), painted(kind)) and not np.array_equal(painted(kind), painted(kind, 1))
