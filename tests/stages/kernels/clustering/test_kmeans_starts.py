"""k-means from many starts: scikit-learn's result, and compiled loops that do what NumPy does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from stages.kernels.clustering.kmeans import TooFewPoints
from stages.kernels.clustering.kmeans_starts import (
    Start,
    _lloyd,
    _means,
    _move,
    _take_best,
    best_of,
    best_of_starts,
    random_numbers,
)
from tests.stages.kernels.points import inertia, mixture


@pytest.mark.parametrize(
    ("num_points", "width", "k", "n_init"),
    [
        (300, 40, 4, 10),
        (150, 3, 2, 1),
        (400, 17, 9, 33),
        (60, 1, 5, 4),
        (5, 8, 5, 3),
        (40, 6, 1, 2),
        (200, 12, 130, 2),
    ],
)
@pytest.mark.parametrize("seed", [0, 7])
def test_centroids_are_those_of_scikit_learn(num_points: int, width: int, k: int, n_init: int, seed: int) -> None:
    """The same centroids in the same order, from one start and from more than one product has room for."""
    points = mixture(num_points, width, seed)
    found = best_of_starts(points, k, seed, n_init)
    expected = KMeans(k, random_state=seed, n_init=n_init).fit(points)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.cluster_centers_, atol=1e-4)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_points=st.integers(8, 120),
    width=st.integers(1, 20),
    k=st.integers(1, 8),
    n_init=st.integers(1, 12),
)
def test_inertia_is_that_of_scikit_learn(seed: int, num_points: int, width: int, k: int, n_init: int) -> None:
    """On points without clusters, too, where the end of a start depends on every rounding."""
    points = np.random.default_rng(seed).normal(size=(num_points, width)).astype(np.float32)
    expected = KMeans(k, random_state=seed, n_init=n_init).fit(points)
    assert inertia(points, best_of_starts(points, k, seed, n_init)) <= 1.01 * inertia(points, expected.cluster_centers_)


def test_a_centroid_is_the_mean_of_its_points() -> None:
    """What a start that has converged means, told by NumPy."""
    points = mixture(500, 10, 3)
    centroids = best_of_starts(points, 6, 0, 5)
    nearest = np.square(points[:, None] - centroids).sum(2).argmin(1)
    means = np.stack([points[nearest == cluster].mean(0) for cluster in range(6)])
    np.testing.assert_allclose(means, centroids, atol=0.05)


def test_more_starts_are_never_worse() -> None:
    """The first of ten starts is the one start, so the best of ten has no larger inertia."""
    for seed in range(5):
        points = np.random.default_rng(seed).normal(size=(90, 4)).astype(np.float32)
        one, ten = (inertia(points, best_of_starts(points, 7, seed, n_init)) for n_init in (1, 10))
        assert ten <= one * (1 + 1e-6)


def test_points_stay_as_they_are_and_bytes_are_equal() -> None:
    """Two calls give equal bytes, and do not write to the points."""
    points = mixture(200, 16, 1)
    before = points.copy()
    first, second = (best_of_starts(points, 4, 2, 10) for _ in range(2))
    assert first.tobytes() == second.tobytes() and np.array_equal(points, before)


def test_few_iterations_end_at_the_bound() -> None:
    """With max_iter 1 the centroids are those of scikit-learn after one iteration."""
    points = mixture(200, 16, 1)
    expected = KMeans(4, random_state=0, n_init=1, max_iter=1).fit(points)
    np.testing.assert_allclose(best_of_starts(points, 4, 0, 1, max_iter=1), expected.cluster_centers_, atol=1e-4)


@pytest.mark.parametrize("num_points", [7, 64, 333])
@pytest.mark.parametrize("width", [1, 5, 300])
@pytest.mark.parametrize("distinct", [1, 2, 3])
def test_equal_points_are_too_few(num_points: int, width: int, distinct: int) -> None:
    """Rounding does not divide equal points, wherever they are: the error says how many are distinct."""
    rng = np.random.default_rng(num_points + width)
    kinds = rng.normal(100, 1, (distinct, width)).astype(np.float32)
    points = kinds[np.arange(num_points) % distinct]
    with pytest.raises(TooFewPoints, match=rf"at least 4 distinct points.*found {distinct} distinct of {num_points}"):
        best_of_starts(points, 4, 0, 10)


def test_as_many_kinds_of_points_as_clusters() -> None:
    """k distinct values among many points are the centroids."""
    kinds = np.random.default_rng(0).normal(50, 1, (4, 30)).astype(np.float32)
    found = best_of_starts(kinds[np.arange(200) % 4], 4, 0, 10)
    np.testing.assert_allclose(found[np.lexsort(found.T)], kinds[np.lexsort(kinds.T)], atol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_points_must_be_finite(value: float) -> None:
    """NaN and infinity are refused."""
    points = mixture(20, 3, 0)
    points[4, 1] = value
    with pytest.raises(ValueError, match="finite"):
        best_of_starts(points, 2, 0)


def test_no_points_are_too_few() -> None:
    """Nothing cannot be divided."""
    with pytest.raises(TooFewPoints, match="0 distinct of 0"):
        best_of_starts(np.zeros((0, 3)), 2, 0)


def test_random_numbers_are_one_stream() -> None:
    """However many starts fit into one product, start s has the numbers that scikit-learn would draw for it."""
    parts = list(random_numbers(60, 5, 7))
    assert [len(part) for part in parts] == [2, 2, 2, 1]
    stream = np.random.RandomState(5).random_sample(7 * (1 + 59 * 6))
    assert np.array_equal(np.concatenate(parts).ravel(), stream)


def test_of_equal_clusters_the_first_start_is_kept() -> None:
    """A later start with the same clusters under other numbers does not win by rounding; one with others does."""
    centroids = np.zeros((2, 1), np.float32)
    first, same = (Start(centroids, np.array(labels), i) for labels, i in (([0, 0, 1], 1.0), ([1, 1, 0], 0.9)))
    other = Start(centroids, np.array([0, 1, 1]), 0.8)
    assert best_of([first, same], 2) is first
    assert best_of([first, same, other], 2) is other


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), num_points=st.integers(0, 12), k=st.integers(1, 4), going=st.sets(st.integers(0, 2)))
def test_moving_points_is_what_numpy_does(seed: int, num_points: int, k: int, going: set[int]) -> None:
    """Labels, sums and counts after two rounds; of equal distances the first wins, and other starts are not touched."""
    rng = np.random.default_rng(seed)
    points = rng.integers(-2, 3, (num_points, 3)).astype(np.float32)
    labels, chosen = np.full((3, num_points), -1, np.int32), np.array(sorted(going), np.int64)
    sums, counts = np.zeros((3, k, 3)), np.zeros((3, k), np.int64)
    for _ in range(2):
        centroids = rng.integers(-2, 3, (len(chosen), k, 3)).astype(np.float32)
        flat, before = centroids.reshape(-1, 3), labels.copy()
        moved = _move(points, points @ flat.T, np.square(flat).sum(1), chosen, labels, sums, counts)
        nearest = np.square(points[None, :, None] - centroids[:, None]).sum(3).argmin(2)
        assert np.array_equal(labels[chosen], nearest)
        assert moved.tolist() == (before[chosen] != nearest).sum(1).tolist()
    for start in range(3):
        for cluster in range(k):
            own = points[labels[start] == cluster]
            assert counts[start, cluster] == len(own) and np.array_equal(sums[start, cluster], own.sum(0))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), num_points=st.integers(1, 12), trials=st.integers(1, 4))
def test_the_best_candidate_is_what_numpy_finds(seed: int, num_points: int, trials: int) -> None:
    """The first candidate with the smallest sum of squared distances; the distances are brought up to date."""
    rng = np.random.default_rng(seed)
    points = rng.integers(-2, 3, (num_points, 2)).astype(np.float32)
    candidates = rng.integers(0, num_points, (3, trials))
    closest = rng.integers(0, 9, (3, num_points)).astype(np.float32)
    distances = np.minimum(closest[:, None], np.square(points[candidates][:, :, None] - points).sum(3))
    best = distances.sum(2).argmin(1)
    different, which = np.unique(candidates, return_inverse=True)
    found = _take_best(
        points[different] @ points.T, np.square(points).sum(1), different, which.reshape(3, trials), closest
    )
    assert found.tolist() == best.tolist()
    assert np.array_equal(closest, distances[np.arange(3), best])


def test_an_empty_cluster_gets_the_farthest_point() -> None:
    """Its mean is that point, which no longer counts for the mean of its own cluster; other starts are not touched."""
    points = np.array([[0], [1], [2], [11]], np.float32)
    before = np.array([[[0], [50], [60]], [[0], [1], [6]]], np.float32)
    labels = np.array([[0, 0, 0, 0], [0, 1, 2, 2]])
    counts = np.array([[4, 0, 0], [1, 1, 2]])
    sums = np.array([[[14], [0], [0]], [[0], [1], [13]]], float)
    assert _means(points, before, labels, sums, counts)[..., 0].tolist() == [[0.5, 11, 2], [0, 1, 6.5]]


def test_a_start_goes_on_from_an_empty_cluster() -> None:
    """A seed far from all points loses them all, and the start still ends with as many clusters as were asked."""
    points = np.concatenate([mixture(50, 2, 0), mixture(50, 2, 1) + 40])
    seeds = np.array([[points[0], points[60], [900, 900]]], np.float32)
    (ended,) = _lloyd(points, np.square(points).sum(1), seeds, 1e-6, 100)
    assert np.bincount(ended.labels, minlength=3).min() > 0
    assert ended.inertia == pytest.approx(inertia(points, ended.centroids), rel=1e-4)
