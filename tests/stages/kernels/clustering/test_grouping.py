"""Pixel grouping: swapping product and upsampling changes no label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.clustering.grouping import TooFewPoints, assign, concat_maps, group_pixels, normalize
from stages.kernels.clustering.kmeans import Metric
from stages.kernels.resize import resize_bilinear


def naive_scores(features: np.ndarray, centroids: np.ndarray, size: tuple[int, int], metric: Metric) -> np.ndarray:
    """(k, H, W) float64: upsample every channel, then compare with the centroids. Larger is nearer."""
    large = resize_bilinear(features, *size).astype(np.float64)
    if metric == "dot":
        return np.einsum("chw,kc->khw", large, centroids)
    return -np.square(large[None] - centroids[:, :, None, None]).sum(1)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    scale=st.sampled_from([1, 2, 3.7, 8]),
    metric=st.sampled_from(["dot", "l2"]),
)
def test_swapped_order_gives_the_same_labels(seed: int, shape: tuple[int, int], scale: float, metric: Metric) -> None:
    """The product at feature resolution followed by upsampling equals upsampling followed by the nearest centroid."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(7, *shape)).astype(np.float32)
    centroids = rng.normal(size=(4, 7)).astype(np.float32)
    size = int(shape[0] * scale), int(shape[1] * scale)
    labels = assign(features, np.ones(size, bool), centroids, metric)
    scores = naive_scores(features, centroids, size, metric)
    chosen = np.take_along_axis(scores, labels[None].astype(np.int64), 0)[0]
    assert np.all(chosen >= scores.max(0) - 1e-4)
    assert np.mean(labels == scores.argmax(0)) > 0.99


def test_separated_regions_are_found() -> None:
    """Four uniform regions of an object become its groups, with their features; outside the label is −1."""
    features = np.zeros((2, 8, 8), np.float32)
    features[0, :4], features[1, :, :4] = 10, 10
    mask = np.zeros((64, 64), bool)
    mask[8:56, 8:56] = True
    grouping = group_pixels(features, mask, 4, "l2", seed=1)
    assert grouping.labels.dtype == np.int16
    assert np.all((grouping.labels == -1) == ~mask)
    assert len({int(grouping.labels[y, x]) for y in (12, 52) for x in (12, 52)}) == 4
    corner = grouping.labels[12, 12]
    np.testing.assert_allclose(grouping.features[corner], [10, 10], atol=0.6)


@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_features_are_means_of_upsampled_features(metric: Metric) -> None:
    """The feature of a group is the mean of the upsampled features over its pixels."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(6, 7, 9)).astype(np.float32)
    mask = rng.random((40, 50)) < 0.7
    grouping = group_pixels(features, mask, 3, metric, seed=0)
    large = resize_bilinear(features, 40, 50)
    for group in range(3):
        if np.any(grouping.labels == group):
            mean = large[:, grouping.labels == group].mean(1)
            np.testing.assert_allclose(grouping.features[group], mean, atol=1e-4)


def test_same_seed_same_labels() -> None:
    """The same input and seed give the same bytes."""
    features = np.random.default_rng(0).normal(size=(16, 20, 20)).astype(np.float32)
    mask = np.ones((80, 80), bool)
    first, second = (group_pixels(features, mask, 4, "l2", seed=5) for _ in range(2))
    assert np.array_equal(first.labels, second.labels)
    assert np.array_equal(first.features, second.features)


@pytest.mark.parametrize(("cells", "found"), [(3, "3 distinct of 3"), (0, "0 distinct of 0")])
def test_too_few_points(cells: int, found: str) -> None:
    """An object with fewer feature points than groups is an error that gives both counts."""
    features = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    mask = np.zeros((8, 8), bool)
    mask[0, :cells] = True
    with pytest.raises(TooFewPoints, match=rf"at least 4 distinct points.*{found}"):
        group_pixels(features, mask, 4)


def test_equal_points_are_too_few() -> None:
    """Many points with only two values do not make four groups."""
    features = np.zeros((4, 8, 8), np.float32)
    features[:, 4:] = 1
    with pytest.raises(TooFewPoints, match="2 distinct of 64"):
        group_pixels(features, np.ones((8, 8), bool), 4)


def test_normalize_gives_unit_length_and_keeps_zero() -> None:
    """Every position has length 1 over the channels, unless it is zero."""
    features = np.random.default_rng(0).normal(size=(5, 3, 3)).astype(np.float16)
    features[:, 0, 0] = 0
    length = np.linalg.norm(normalize(features), axis=0)
    assert length[0, 0] == 0
    np.testing.assert_allclose(length.ravel()[1:], 1, atol=1e-5)


def test_concat_takes_the_first_resolution() -> None:
    """Maps of different strides are joined at the first map's resolution, channels in order."""
    joined = concat_maps([np.ones((2, 6, 8)), np.full((3, 3, 4), 2.0)])
    assert joined.shape == (5, 6, 8)
    assert joined.dtype == np.float32
    np.testing.assert_allclose(joined[:, 0, 0], [1, 1, 2, 2, 2])
