"""Bilinear resizing of maps."""

from __future__ import annotations

import numpy as np
import pytest

from stages.kernels.resize import interpolation, resize_bilinear


@pytest.mark.parametrize(("size", "source"), [((13, 20), (4, 5)), ((3, 2), (9, 7)), ((1, 1), (1, 1)), ((5, 5), (1, 3))])
def test_resizing_equals_torch(size: tuple[int, int], source: tuple[int, int]) -> None:
    """Bilinear resizing is PyTorch's with align_corners=False."""
    torch = pytest.importorskip("torch")
    maps = np.random.default_rng(0).normal(size=(2, *source)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.tensor(maps)[None], size, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(resize_bilinear(maps, *size), expected[0].numpy(), atol=1e-5)


def test_interpolation_weights_sum_to_one() -> None:
    """Every row of the interpolation matrix sums to 1, so constants stay constant."""
    for target, source in ((10, 3), (3, 10), (1, 1), (7, 1)):
        np.testing.assert_allclose(interpolation(target, source).sum(1), 1, atol=1e-6)


def test_leading_axes_are_kept() -> None:
    """Every map of a stack is resized alone, to float32."""
    maps = np.random.default_rng(1).normal(size=(2, 3, 4, 5))
    resized = resize_bilinear(maps, 8, 6)
    assert resized.shape == (2, 3, 8, 6) and resized.dtype == np.float32
    np.testing.assert_array_equal(resized[1, 2], resize_bilinear(maps[1, 2], 8, 6))


def test_equal_size_changes_nothing() -> None:
    """Interpolation to the same number of samples is the identity."""
    np.testing.assert_array_equal(interpolation(6, 6), np.eye(6, dtype=np.float32))
    maps = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(resize_bilinear(maps, 3, 4), maps)
