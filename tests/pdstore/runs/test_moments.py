"""Moments of runs, compared with those of decoded pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pdstore import masks, runs


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_moments_are_those_of_the_pixels(height: int, width: int, seed: int) -> None:
    """Area, mean and standard deviation of both coordinates; an empty mask has zeros."""
    rng = np.random.default_rng(seed)
    stack = rng.random((5, height, width)) < np.array([0, 0.1, 0.5, 0.9, 1])[:, None, None]
    found = runs.moments(runs.read(masks.encode(stack), height, width))
    for mask, row in zip(stack, found, strict=True):
        y, x = np.nonzero(mask)
        expected = [len(x), x.mean(), y.mean(), x.std(), y.std()] if len(x) else [0] * 5
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_a_large_frame_loses_nothing() -> None:
    """A run that goes on over many columns counts in each of them."""
    whole = runs.moments(runs.full(2000, 3000))[0]
    np.testing.assert_allclose(
        whole, [6e6, 1499.5, 999.5, ((3000**2 - 1) / 12) ** 0.5, ((2000**2 - 1) / 12) ** 0.5], rtol=1e-9
    )
