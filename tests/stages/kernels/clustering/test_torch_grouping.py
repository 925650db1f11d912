"""Grouping in torch: what NumPy finds, and an object's result is its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.kernels.clustering import torch_grouping
from stages.kernels.clustering.grouping import Grouping, concat_maps, group_pixels, normalize
from stages.kernels.clustering.kmeans import Metric, TooFewPoints
from stages.kernels.clustering.torch_grouping import OBJECTS_AT_ONCE, group_objects, join_maps
from tests.stages.kernels.points import mixture

Object = tuple[np.ndarray, np.ndarray]


def thing(seed: int, height: int, width: int, channels: int = 24) -> Object:
    """Maps of (height, width) cells, and an object in a frame of eight pixels per cell, which has ragged borders."""
    rng = np.random.default_rng(seed)
    maps = mixture(height * width, channels, seed).T.reshape(channels, height, width).copy()
    cells = rng.random((height, width)) < 0.8
    mask = np.kron(cells, np.ones((8, 8))).astype(bool)
    mask[:, :3] = False
    return maps, mask


def on(device: str, objects: list[Object]) -> list[tuple[torch.Tensor, np.ndarray]]:
    return [(torch.from_numpy(maps).to(device), mask) for maps, mask in objects]


OBJECTS = [thing(0, 12, 17), thing(1, 30, 8), thing(2, 5, 5), thing(3, 1, 40), thing(4, 40, 1), thing(5, 20, 20, 7)]


def check_equal(found: Grouping | TooFewPoints, expected: Grouping) -> None:
    assert isinstance(found, Grouping)
    assert found.labels.dtype == expected.labels.dtype and found.features.dtype == expected.features.dtype
    assert np.array_equal(found.labels == -1, expected.labels == -1)
    assert np.mean(found.labels == expected.labels) > 0.999
    np.testing.assert_allclose(found.features, expected.features, atol=1e-3)


@pytest.mark.parametrize("metric", ["dot", "l2"])
@pytest.mark.parametrize("n_init", [1, 10, 50])
def test_groups_are_those_of_numpy(metric: Metric, n_init: int) -> None:
    """Objects of any size and number of channels, frames of one row or one column, more starts than fit at once."""
    found = group_objects(on("cpu", OBJECTS), 4, metric, 3, n_init=n_init)
    for own, (maps, mask) in zip(found, OBJECTS, strict=True):
        check_equal(own, group_pixels(maps, mask, 4, metric, 3, n_init=n_init))


@pytest.mark.gpu
@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_groups_on_a_gpu_are_those_of_numpy(metric: Metric) -> None:
    """The same on CUDA, with more objects than share a product, and each alone gives the same bytes."""
    objects = [thing(seed, 24 + seed, 30, 256) for seed in range(20)]
    found = group_objects(on("cuda", objects), 4, metric, 3, n_init=10)
    for own, (maps, mask) in zip(found, objects, strict=True):
        check_equal(own, group_pixels(maps, mask, 4, metric, 3, n_init=10))
        (alone,) = group_objects(on("cuda", [(maps, mask)]), 4, metric, 3, n_init=10)
        assert contents(alone) == contents(own)


def contents(grouping: Grouping | TooFewPoints) -> tuple[bytes, bytes]:
    assert isinstance(grouping, Grouping)
    return grouping.labels.tobytes(), grouping.features.tobytes()


def test_a_result_does_not_depend_on_the_other_objects() -> None:
    """Alone, in any order, and with more objects than share a product, an object's bytes are the same."""
    objects = [thing(seed, 9 + seed % 5, 11) for seed in range(2 * OBJECTS_AT_ONCE + 3)]
    tensors = on("cpu", objects)
    together = [contents(own) for own in group_objects(tensors, 3, "l2", 0, n_init=4)]
    backwards = [contents(own) for own in group_objects(tensors[::-1], 3, "l2", 0, n_init=4)]
    alone = [contents(group_objects([one], 3, "l2", 0, n_init=4)[0]) for one in tensors]
    assert together == alone and backwards[::-1] == alone


def test_few_points_are_the_error_of_numpy() -> None:
    """No point, fewer than k, and equal points are errors in their places; the other objects are grouped."""
    maps, mask = thing(0, 12, 17)
    nothing, one = np.zeros_like(mask), np.zeros_like(mask)
    one[12, 20] = True
    equal = np.repeat(maps[:, :, :1], maps.shape[2], 2) * 0 + np.arange(12)[:, None] % 3
    objects = [(maps, nothing), (maps, mask), (maps, one), (equal.astype(np.float32), mask)]
    found = group_objects(on("cpu", objects), 4, "l2", n_init=10)
    for number in (0, 2, 3):
        with pytest.raises(TooFewPoints) as caught:
            group_pixels(*objects[number], 4, "l2", n_init=10)
        assert isinstance(found[number], TooFewPoints) and str(found[number]) == str(caught.value)
    check_equal(found[1], group_pixels(maps, mask, 4, "l2", n_init=10))


def test_no_object_has_no_group() -> None:
    """Nothing is divided into nothing."""
    assert group_objects([], 4) == []


def test_points_must_be_finite() -> None:
    """NaN in a map is refused, as by NumPy."""
    maps, mask = thing(0, 12, 17)
    maps[3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        group_objects(on("cpu", [(maps, mask)]), 4)


def test_an_object_too_large_to_share_is_computed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one object at once the groups are the same as with room for several."""
    shared = group_objects(on("cpu", OBJECTS), 3, "l2", n_init=3)
    monkeypatch.setattr(torch_grouping, "_BYTES_AT_ONCE", 1)
    for own, alone in zip(shared, group_objects(on("cpu", OBJECTS), 3, "l2", n_init=3), strict=True):
        assert isinstance(own, Grouping)
        check_equal(alone, own)


@pytest.mark.parametrize("is_normalized", [False, True])
@pytest.mark.parametrize("sizes", [[(6, 8), (3, 4)], [(1, 9)], [(5, 5), (5, 5), (7, 3)]])
def test_maps_are_joined_as_by_numpy(is_normalized: bool, sizes: list[tuple[int, int]]) -> None:
    """Every map is scaled, resized to the first one's size, and appended; zero vectors stay zero."""
    maps = [np.random.default_rng(0).normal(size=(3 + i, *size)).astype(np.float32) for i, size in enumerate(sizes)]
    maps[0][:, 0, 0] = 0
    expected = concat_maps([normalize(m) if is_normalized else m for m in maps])
    found = join_maps([torch.from_numpy(m) for m in maps], is_normalized)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
