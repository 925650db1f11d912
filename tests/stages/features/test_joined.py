"""One map out of several, where they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.features.joined import joined
from stages.kernels.clustering.grouping import concat_maps, normalize
from stages.kernels.pixel_features import chromaticity
from tests.stages.features.backbones import photo

MAPS = [np.random.default_rng(0).normal(size=(4, *size)).astype(np.float32) for size in ((6, 8), (3, 4))]


@pytest.mark.parametrize("is_normalized", [False, True])
def test_on_the_cpu_maps_become_an_array(is_normalized: bool) -> None:
    """The bytes are those of the NumPy functions."""
    found = joined([torch.from_numpy(m) for m in MAPS], is_normalized)
    expected = concat_maps([normalize(m) if is_normalized else m for m in MAPS])
    assert isinstance(found, np.ndarray) and found.tobytes() == expected.tobytes()


def test_each_map_and_the_colours_have_a_weight() -> None:
    """Weights multiply the channels of their map after all else, and the colours come last."""
    tensors, pixels = [torch.from_numpy(m) for m in MAPS], photo(12, 16, 1)
    found = joined(tensors, True, weights=(2.0, 0.5), pixels=pixels, colour=3.0)
    plain = joined(tensors, True)
    assert isinstance(found, np.ndarray) and isinstance(plain, np.ndarray) and found.shape == (11, 6, 8)
    np.testing.assert_allclose(found[:4], 2 * plain[:4], rtol=1e-6)
    np.testing.assert_allclose(found[4:8], plain[4:] / 2, rtol=1e-6)
    np.testing.assert_allclose(found[8:], 3 * chromaticity(pixels, 6, 8), rtol=1e-6)


@pytest.mark.gpu
def test_on_a_gpu_maps_stay_there() -> None:
    """The tensor has the values of the array."""
    found = joined([torch.from_numpy(m).cuda() for m in MAPS], True)
    assert isinstance(found, torch.Tensor) and found.is_cuda
    np.testing.assert_allclose(found.cpu().numpy(), concat_maps([normalize(m) for m in MAPS]), atol=1e-5)
