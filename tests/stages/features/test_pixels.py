"""The feature backend without weights."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.stages import GroupingSettings
from stages.features import pixels
from stages.kernels.pixel_features import pixel_features
from tests.stages.features.backbones import photo


@pytest.mark.parametrize("stride", [2, 8])
def test_features_are_those_of_the_kernel(bench, stride: int) -> None:
    """One map per picture, at the stride of the settings; the kernel computes it."""
    pictures = [photo(32, 48, 1), photo(20, 40, 2)]
    unit = bench.unit(images=bench.images(*pictures))
    settings = GroupingSettings(backend="pixels", stride=stride, normalize=False)
    maps = dict(pixels.start(settings, bench.setup())(unit, [0, 1]))
    assert maps.keys() == {0, 1}
    for number, picture in enumerate(pictures):
        assert np.array_equal(maps[number], pixel_features(picture, stride))


def test_normalised_features_have_unit_length(bench) -> None:
    """With ``normalize`` each cell is divided by its length over the channels."""
    unit = bench.unit(images=bench.images(photo(32, 48)))
    ((_, maps),) = pixels.start(GroupingSettings(backend="pixels", normalize=True), bench.setup())(unit, [0])
    assert np.allclose(np.linalg.norm(maps, axis=0), 1, atol=1e-5)
