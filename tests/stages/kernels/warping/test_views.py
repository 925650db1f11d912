"""Where pixels of a square come from, compared with Pillow's transform of a picture of numbers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from stages.kernels.warping.views import View, fixed_point


def numbered(view: View) -> np.ndarray:
    """(S, S) int64: the number of the window's pixel under each pixel of the square, from 1; 0 outside."""
    height, width = view.rows.stop - view.rows.start, view.columns.stop - view.columns.start
    numbers = np.arange(1, height * width + 1, dtype=np.int64).reshape(height, width)
    parts = []
    for shift in (0, 8):
        # Bytes, since Pillow computes in fixed point only for them.
        picture = Image.fromarray((numbers >> shift & 255).astype(np.uint8))
        form = Image.Transform.AFFINE, tuple(view.to_window.ravel()), Image.Resampling.NEAREST
        parts.append(np.asarray(picture.transform((view.side, view.side), *form), np.int64))
    return parts[0] + (parts[1] << 8)


def random_view(rng: np.random.Generator, turn: float) -> View:
    height, width, side = (int(rng.integers(1, most)) for most in (200, 200, 90))
    angle, scale = rng.uniform(-turn, turn), rng.uniform(0.2, 3, 2)[:, None]
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        linear[0] *= -1
    start = np.where(linear.sum(1) < 0, width, 0) + np.round(rng.uniform(-20, 20, 2), int(rng.integers(0, 4)))
    return View(slice(3, 3 + height), slice(5, 5 + width), np.column_stack([linear, start]), side)


def test_the_grid_of_an_upright_view_is_pillows() -> None:
    """Rows and columns are those that Pillow takes, to the last pixel at a border; -1 is outside the window."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        view = random_view(rng, 0)
        rows, columns = view.grid
        inside = (rows >= 0)[:, None] & (columns >= 0)
        width = view.columns.stop - view.columns.start
        found = np.where(inside, (rows - 3)[:, None] * width + columns - 5 + 1, 0)
        assert not view.is_turned and np.array_equal(found, numbered(view))
        shown, expected = np.zeros_like(inside), inside
        shown[view.window_in_square] = True
        assert np.array_equal(shown, expected)


def test_the_fixed_point_map_of_a_turned_view_is_pillows() -> None:
    """Each pixel of the square falls to the pixel that Pillow takes."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        view = random_view(rng, 3)
        a, b, c, d, e, f = fixed_point(view.to_window)
        y, x = np.mgrid[: view.side, : view.side]
        column, row = a * x + b * y + c >> 16, d * x + e * y + f >> 16
        height, width = view.rows.stop - view.rows.start, view.columns.stop - view.columns.start
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        assert view.is_turned and np.array_equal(np.where(inside, row * width + column + 1, 0), numbered(view))


@pytest.mark.parametrize("step", [0.25, 1.0, 4.0])
def test_shrink_is_the_size_of_a_pixel_of_the_square(step: float) -> None:
    """It is the root of the area that a pixel of the square covers."""
    view = View(slice(0, 9), slice(0, 9), np.array([[step * 2, 0.0, 0], [0, step / 2, 0]]), 4)
    assert view.shrink == pytest.approx(step)
