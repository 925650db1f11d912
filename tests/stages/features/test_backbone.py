"""Feature maps of our own networks as a feature backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pdstore.errors import UsageError
from schemas.stages import GroupingSettings
from schemas.training import NetworkSettings
from stages.features import backbone
from stages.kernels.clustering.grouping import concat_maps, normalize
from stages.models.inference import Inference
from stages.models.network import build
from stages.models.network_files import save_network
from tests.stages.features.backbones import SIZE, photo

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=4)
PICTURES = [photo(64, 96, 1), photo(96, 64, 2), photo(64, 96, 3)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_network(build(SMALL, 1), tmp_path / "network")
    return tmp_path / "network"


@pytest.fixture
def features_of(bench, model: Path) -> Callable[..., dict[int, np.ndarray]]:
    """``features_of(**settings)``: image_id -> features of the three pictures."""
    images = bench.images(*PICTURES)

    def run(**settings: Any) -> dict[int, np.ndarray]:
        given = GroupingSettings(**{"backend": "backbone", "long_side": SIZE, "normalize": False, **settings})
        return dict(backbone.start(given, bench.setup(models={"model": model}))(bench.unit(images=images), [0, 1, 2]))

    return run


def test_maps_are_joined_at_the_resolution_of_the_first(features_of, model: Path) -> None:
    """Maps 1 and 2 have strides 8 and 16: the second is enlarged, and the channels are concatenated in order."""
    found = features_of(maps=(1, 2), input_scale=1.0)
    network = Inference(model, "cpu", SIZE)
    assert [found[i].shape for i in range(3)] == [(24, 8, 12), (24, 12, 8), (24, 8, 12)]
    for number, pixels in enumerate(PICTURES):
        fine, coarse = network.maps([pixels], [1, 2], 1.0)[0]
        assert fine.shape[0] == 8 and coarse.shape[0] == 16
        assert np.allclose(found[number], concat_maps([fine, coarse]), atol=1e-4)


def test_each_map_is_normalised_alone(features_of) -> None:
    """With ``normalize`` every map has unit length over its channels before the maps are joined."""
    plain, unit = features_of(maps=(1,), input_scale=1.0), features_of(maps=(1,), input_scale=1.0, normalize=True)
    assert np.allclose(unit[0], normalize(plain[0]), atol=1e-5)
    joined = features_of(maps=(1, 2), input_scale=1.0, normalize=True)[0]
    assert np.allclose(np.linalg.norm(joined[:8], axis=0), 1, atol=1e-5)


def test_the_precision_is_that_of_the_settings(features_of) -> None:
    """In bfloat16 the features are nearly those in float32."""
    exact, rough = features_of(maps=(1,)), features_of(maps=(1,), precision="bfloat16")
    assert 0 < np.abs(exact[0] - rough[0]).max() < 0.1 * np.abs(exact[0]).max()


def test_the_batch_size_changes_no_feature(features_of) -> None:
    """Pictures of one shape share a batch, and give what each gives alone."""
    alone, together = features_of(batch_size=1), features_of(batch_size=4)
    assert alone.keys() == together.keys() == {0, 1, 2}
    assert all(np.allclose(alone[i], together[i], atol=1e-4) for i in alone)


def test_a_model_is_needed(bench) -> None:
    """The error names the backend and the input, and says how to give it or do without."""
    message = r"grouping: backend backbone needs an input 'model'.*inputs: \{model: NODE\}.*backend: pixels"
    with pytest.raises(UsageError, match=message):
        backbone.start(GroupingSettings(backend="backbone"), bench.setup())
