from __future__ import annotations

import numpy as np
import pytest

from stages.kernels.warping.views import View
from stages.kernels.warping.warp import GREY, crop, recolour, row_major, turned, warp

SIDE = 40


def view_of(window: tuple[slice, slice], step: float, turn: float = 0.0, shift: float = 0.0) -> View:
    """A square whose top left pixel lies at the window's, ``shift`` pixels further along both axes."""
    linear = step * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return View(*window, np.column_stack([linear, [shift, shift]]), SIDE)


def ramp(height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: the row, the column and their sum, so that a colour tells its place."""
    y, x = np.indices((height, width))
    return np.stack([y, x, y + x], -1).astype(np.uint8)


def warped(pixels: np.ndarray, view: View, scale: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    out = np.empty((SIDE, SIDE, 3), np.uint8)
    warp(crop(pixels, scale, view), view, out)
    return out


@pytest.mark.parametrize("turn", [0.0, 0.3])
@pytest.mark.parametrize("step", [0.5, 0.9, 1.0, 1.7])
def test_a_pixel_has_the_colour_of_its_place(step: float, turn: float) -> None:
    """On a ramp, the interpolated colour is the place of the pixel's middle, wherever the window lies."""
    window = (slice(7, 90), slice(20, 80))
    view, pixels = view_of(window, step, turn, 3.25), ramp(100, 100)
    found = warped(pixels, view)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    column, row = (view.to_window[:, :2] @ np.stack([x.ravel(), y.ravel()])).reshape(2, SIDE, SIDE) + 3.25
    inner = (row > 1) & (row < 82) & (column > 1) & (column < 59)
    assert inner.mean() > 0.3
    for channel, expected in enumerate((row + 7 - 0.5, column + 20 - 0.5)):
        assert np.abs(found[..., channel] - expected)[inner].max() <= 1.01
    outside = (row < -0.01) | (row > 83.01) | (column < -0.01) | (column > 60.01)
    assert (found[outside] == GREY).all()


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_a_smaller_copy_of_the_picture_gives_the_same_square(factor: int, turn: float) -> None:
    """The view is about the picture; its pixels may be those of a copy that is reduced."""
    pixels = ramp(96, 96)
    view = view_of((slice(10, 90), slice(5, 85)), 1.5, turn, 2.0)
    small = pixels.reshape(96 // factor, factor, 96 // factor, factor, 3).mean((1, 3)).round().astype(np.uint8)
    found, expected = warped(small, view, (1 / factor, 1 / factor)), warped(pixels, view)
    inner = np.zeros((SIDE, SIDE), bool)
    inner[4:-4, 4:-4] = True
    inner &= (expected != GREY).any(-1)
    assert np.abs(found.astype(int) - expected)[inner].mean() < 1.5


def test_a_crop_holds_no_more_than_the_square_shows() -> None:
    """A window that the square shows in part is copied in part, with a neighbour on each side."""
    view = view_of((slice(100, 900), slice(200, 900)), 2.0, shift=50.0)
    part = crop(np.zeros((1000, 1000, 3), np.uint8), (1.0, 1.0), view)
    assert part.pixels.shape == (42, 42, 3) and np.allclose(part.to_pixels, [[1, 0, 1], [0, 1, 1]])


def test_shrinking_averages() -> None:
    """Stripes of black and white become grey."""
    stripes = np.zeros((200, 200, 3), np.uint8)
    stripes[:, ::2] = 200
    found = warped(stripes, view_of((slice(0, 200), slice(0, 200)), 4.0))
    assert (np.abs(found.astype(int) - 100) <= 1).all()


@pytest.mark.parametrize("window", [(slice(0, 1), slice(0, 1)), (slice(4, 5), slice(0, 9)), (slice(0, 5), slice(8, 9))])
@pytest.mark.parametrize(("turn", "shift"), [(0.0, 0.0), (0.4, 0.0), (0.0, 50.0), (0.4, -70.0)])
def test_a_window_of_one_pixel_or_out_of_sight(window: tuple[slice, slice], turn: float, shift: float) -> None:
    """A thin window has its own colours only; one that the square does not show leaves it grey."""
    found = warped(np.full((5, 9, 3), 77, np.uint8), view_of(window, 0.25, turn, shift))
    assert set(np.unique(found)) == ({GREY} if shift else {77, GREY})


def test_colours_are_mixed_rounded_and_clipped() -> None:
    """Each channel is the sum of the old ones and of the mean, as the matrix says."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    mixed, contrast = rng.normal(0.4, 0.8, (3, 3)), rng.normal(0, 0.5, 3)
    expected = image.astype(float) @ mixed + image.mean() * contrast
    found = image.copy()
    recolour(found, mixed, contrast)
    assert np.abs(found - expected.clip(0, 255)).max() < 1
    assert expected.min() < 0 and expected.max() > 255


@pytest.mark.parametrize("count", [0, 1, 8, 17])
def test_turned_masks_do_not_mix(count: int) -> None:
    """However many masks are warped together, each is as if it were alone."""
    windows = np.random.default_rng(count).random((count, 30, 20)) < 0.5
    view = view_of((slice(0, 30), slice(0, 20)), 0.8, 0.3)
    together = turned(windows, view)
    assert together.shape == (count, SIDE, SIDE)
    assert all(np.array_equal(turned(one[None], view)[0], seen) for one, seen in zip(windows, together, strict=True))


def test_masks_become_row_major() -> None:
    """Values stay in place, also if the target is a part of a larger array."""
    masks = (np.random.default_rng(0).random((3, 7, 5)) < 0.5).transpose(0, 2, 1)
    out = np.zeros((3, 9, 9), bool)
    row_major(masks, [part[2:7, 1:8] for part in out])
    assert np.array_equal(out[:, 2:7, 1:8], masks) and out.sum() == masks.sum()
