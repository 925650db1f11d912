"""Pixel features without weights: their shape, their frame, and the effect of each group of channels."""

from __future__ import annotations

import numpy as np
import pytest

from stages.kernels.clustering.grouping import group_pixels
from stages.kernels.pixel_features import chromaticity, pixel_features


@pytest.mark.parametrize(
    ("size", "stride", "cells"),
    [((64, 96), 4, (16, 24)), ((65, 97), 4, (16, 24)), ((1, 1), 4, (1, 1)), ((5, 3), 1, (5, 3))],
)
def test_shape(size: tuple[int, int], stride: int, cells: tuple[int, int]) -> None:
    """There are nine float32 channels, of image size divided by stride and at least one cell."""
    features = pixel_features(np.zeros((*size, 3), np.uint8), stride)
    assert features.shape == (9, *cells)
    assert features.dtype == np.float32
    assert np.all(np.isfinite(features))


def test_position_covers_the_frame() -> None:
    """Positions run from edge to edge in long sides, so the cells cover the frame without a shift."""
    y, x = pixel_features(np.zeros((40, 80, 3), np.uint8), 8, position=0.15)[3:5]
    np.testing.assert_allclose(x[0], (np.arange(10) * 8 + 3.5) / 80, atol=1e-5)
    np.testing.assert_allclose(y[:, 0], (np.arange(5) * 8 + 3.5) / 80, atol=1e-5)


def test_zero_weight_silences_a_group() -> None:
    """A weight of 0 makes the channels of its group constant."""
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    features = pixel_features(image, colour=0, position=0, texture=1)
    assert not features[:5].any()
    assert features[5:].any()


def regions(kind: str) -> np.ndarray:
    """A 64 × 64 picture with two halves that differ in colour, or only in texture."""
    image = np.full((64, 64, 3), 128, np.uint8)
    if kind == "colour":
        image[:, 32:] = [160, 110, 100]
    else:
        image[:, 32:] += (np.indices((64, 32)).sum(0) % 4 // 2 * 80).astype(np.uint8)[..., None] - 40
    return image


@pytest.mark.parametrize(("kind", "weights"), [("colour", (1, 0, 0)), ("texture", (0, 0, 1)), ("position", (0, 1, 0))])
def test_each_group_splits_what_it_sees(kind: str, weights: tuple[float, float, float]) -> None:
    """Two halves that differ in one respect can be separated by that group of channels alone."""
    colour, position, texture = weights
    features = pixel_features(regions(kind), colour=colour, position=position, texture=texture)
    labels = group_pixels(features, np.ones((64, 64), bool), 2, "l2", n_init=4).labels
    halves = (labels[:, :32], labels[:, 32:]) if labels[4, 4] != labels[4, -5] else (labels[:32], labels[32:])
    first, second = (np.bincount(half.ravel(), minlength=2) / half.size for half in halves)
    assert first.argmax() != second.argmax()
    assert min(first.max(), second.max()) > 0.85


def test_light_does_not_change_chromaticity() -> None:
    """Half the light leaves the shares of a colour as they are, up to rounding; they add up to 1 in every cell."""
    image = np.full((20, 30, 3), (120, 80, 40), np.uint8)
    image[:, 15:] //= 2
    shares = chromaticity(image, 10, 15)
    assert shares.shape == (3, 10, 15) and shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-5)
    np.testing.assert_allclose(shares[:, 3, 2], np.array([124, 84, 44]) / 252, atol=1e-5)
    assert np.abs(shares[:, :, 0] - shares[:, :, -1]).max() < 0.02
