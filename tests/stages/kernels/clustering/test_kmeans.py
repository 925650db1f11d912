"""k-means: it is seeded, and never invents centroids."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from pdstore.errors import PdError
from stages.kernels.clustering.kmeans import TooFewPoints, closeness, kmeans, unit_length


def test_same_seed_same_centroids() -> None:
    """Equal points and seed give equal bytes; float16 input gives float32 centroids."""
    points = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float16)
    first = kmeans(points, 5, seed=3)
    assert first.dtype == np.float32
    assert first.tobytes() == kmeans(points, 5, seed=3).tobytes()


def test_as_many_points_as_clusters() -> None:
    """k distinct points are their own centroids."""
    points = np.eye(4, dtype=np.float32)
    assert sorted(map(tuple, kmeans(points, 4, seed=0))) == sorted(map(tuple, points))


def test_too_few_points_is_a_project_error_that_can_be_pickled() -> None:
    """The error is a PdError and a ValueError, and keeps its message in pickle, as worker processes need it."""
    with pytest.raises(TooFewPoints) as caught:
        kmeans(np.zeros((5, 2)), 2, seed=0)
    assert isinstance(caught.value, PdError)
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_points_must_be_rows() -> None:
    """A one-dimensional array is refused."""
    with pytest.raises(ValueError, match=r"points must be \(P, D\)"):
        kmeans(np.zeros(5), 2, seed=0)


def test_l2_closeness_orders_by_distance() -> None:
    """The l2 closeness is minus the squared distance plus a constant per row, so the nearest is the largest."""
    rng = np.random.default_rng(0)
    points, centroids = (rng.normal(size=(n, 6)).astype(np.float32) for n in (50, 7))
    distance = np.square(points[:, None] - centroids).sum(2)
    np.testing.assert_allclose(
        closeness(points, centroids, "l2") - np.square(points).sum(1)[:, None], -distance, atol=1e-4
    )


def test_unit_length_keeps_zero() -> None:
    """Vectors are scaled to length 1, and a zero vector stays zero."""
    np.testing.assert_allclose(unit_length([[3.0, 4.0], [0.0, 0.0]]), [[0.6, 0.8], [0, 0]], atol=1e-6)
