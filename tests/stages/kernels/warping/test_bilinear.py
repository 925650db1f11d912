"""Bilinear resampling, compared with float64 arithmetic in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.kernels.warping.bilinear import resample


def reference(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(R, C, 3) float64: between the four pixels around each place, with the border's pixels beyond it."""
    found = pixels.astype(float)
    for axis, places in enumerate((rows, columns)):
        low, last = np.floor(places).astype(int), found.shape[axis] - 1
        weight = (places - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        before, after = (np.take(found, np.clip(low + step, 0, last), axis) for step in (0, 1))
        found = before * (1 - weight) + after * weight
    return found


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 12), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_values_are_those_of_exact_arithmetic(height: int, width: int, tall: int, wide: int, seed: int) -> None:
    """For places inside and outside the picture, rising, falling or in any order, values are off by less than one."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    rows, columns = rng.uniform(-2, height + 1, tall), rng.uniform(-2, width + 1, wide)
    if seed % 3:
        rows, columns = np.sort(rows), np.sort(columns)[:: 1 if seed % 3 == 1 else -1]
    sheet = np.full((tall + 2, wide + 2, 3), 7, np.uint8)
    resample(pixels, rows, columns, sheet, (1, 1))
    assert (np.abs(sheet[1:-1, 1:-1] - reference(pixels, rows, columns)) < 1).all()
    sheet[1:-1, 1:-1] = 7
    assert (sheet == 7).all()


def test_pixels_in_their_places_stay() -> None:
    """At whole numbers the result is the picture, and at its reverse the mirrored picture, exactly."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    out = np.empty_like(pixels)
    resample(pixels, np.arange(5.0), np.arange(7.0), out)
    assert np.array_equal(out, pixels)
    resample(pixels, np.arange(5.0), np.arange(7.0)[::-1], out)
    assert np.array_equal(out, pixels[:, ::-1])


def test_a_result_without_room_is_refused() -> None:
    """Nothing is written beyond the array."""
    out = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match=r"no room for 4 x 4 pixels in \(4, 4\) at \(0, 1\)"):
        resample(out, np.arange(4.0), np.arange(4.0), out, (0, 1))
