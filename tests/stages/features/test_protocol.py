"""What every feature backend promises."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.stages import GroupingSettings
from schemas.training import NetworkSettings
from stages.features.protocol import Features
from stages.models.network import build
from stages.models.network_files import save_network
from stages.nodes.grouping import BACKENDS
from tests.stages.features.backbones import SIZE, photo

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=4)


@pytest.fixture(params=sorted(BACKENDS))
def start(request: pytest.FixtureRequest, bench, checkpoints: Path, tmp_path: Path) -> Callable[..., Features]:
    """``start(**settings)``: each backend, with small networks of random weights."""
    save_network(build(SMALL, 1), tmp_path / "network")
    weights = checkpoints / "dinov2"

    def run(**settings: Any) -> Features:
        given = {"long_side": SIZE, **({"weights": str(weights)} if request.param == "auto" else {}), **settings}
        setup = bench.setup(models={"model": tmp_path / "network"}, files={"weights": weights})
        features: Features = importlib.import_module(BACKENDS[request.param]).start(
            GroupingSettings(backend=request.param, **given), setup
        )
        return features

    return run


def test_every_requested_picture_has_one_map(start, bench) -> None:
    """(C, h, w) finite float32 with the same channels for all, in any order; other pictures are not computed."""
    unit = bench.unit(images=bench.images(photo(64, 96, 1), photo(96, 64, 2), photo(64, 96, 3)))
    pairs = list(start()(unit, [0, 1]))
    maps = dict(pairs)
    assert sorted(image_id for image_id, _ in pairs) == [0, 1] and unit.faults == []
    assert all(m.dtype == np.float32 and m.ndim == 3 and np.isfinite(m).all() for m in maps.values())
    assert len({m.shape[0] for m in maps.values()}) == 1
    assert maps[0].shape[1:] == maps[1].shape[:0:-1], "the maps of a turned picture have the turned shape"


def test_a_map_covers_the_whole_picture(start, bench) -> None:
    """A change in one corner shows in the cell of that corner, in every corner."""
    plain = np.full((64, 96, 3), 90, np.uint8)
    pictures = [plain]
    for y, x in ((0, 0), (0, 80), (48, 80)):
        changed = plain.copy()
        changed[y : y + 16, x : x + 16] = (250, 10, 30)
        pictures.append(changed)
    maps = dict(start(normalize=False)(bench.unit(images=bench.images(*pictures)), [0, 1, 2, 3]))
    for number, corner in ((1, (0, 0)), (2, (0, -1)), (3, (-1, -1))):
        difference = np.abs(maps[number] - maps[0]).sum(0)
        assert difference[corner] > 0.1 * difference.max() > 0


def test_a_damaged_picture_is_left_out_and_reported(start, bench) -> None:
    """It becomes an error row of the unit, and the others have their maps."""
    images = bench.images(photo(64, 96, 1), photo(64, 96, 2))
    (bench.folder / "0_0.png").write_bytes(b"not an image")
    unit = bench.unit(images=images)
    assert [image_id for image_id, _ in start()(unit, [0, 1])] == [1]
    assert [(fault["subject"], fault["reason"]) for fault in unit.faults] == [("0_0.png", "not_an_image")]


def test_the_same_picture_has_the_same_features(start, bench) -> None:
    """Nothing is random: two runs give equal bytes."""
    images = bench.images(photo(64, 96))
    features = start()
    first, second = (dict(features(bench.unit(images=images), [0]))[0] for _ in range(2))
    assert np.array_equal(first, second)
