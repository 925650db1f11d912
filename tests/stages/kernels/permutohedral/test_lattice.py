"""The lattice against one of dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

from stages.kernels.permutohedral import Lattice
from tests.stages.kernels.permutohedral import plain_lattice


def random_points(dimensions: int, count: int, spread: float) -> np.ndarray:
    rng = np.random.default_rng(dimensions * 1000 + count)
    return (rng.standard_normal((dimensions, count)) * spread).astype(np.float32)


CASES = {
    "one point": np.zeros((5, 1), np.float32),
    "one place": np.full((5, 7), 1.5, np.float32),
    "one dimension": random_points(1, 90, 3),
    "a line": np.stack([np.arange(60), np.zeros(60)]).astype(np.float32) / 3,
    "far apart": random_points(5, 40, 1000),
    "a plane": random_points(2, 200, 2),
    "near each other": random_points(5, 200, 0.7),
    "some share vertices": random_points(5, 200, 2),
}


@pytest.mark.parametrize("points", CASES.values(), ids=CASES.keys())
def test_the_filter_is_that_of_a_lattice_of_dictionaries(points: np.ndarray) -> None:
    """Weights, neighbours and blur give the same normalised filter of 1 at every point."""
    lattice = Lattice.of(points)
    expected = plain_lattice.normalised(plain_lattice.kernel(points.astype(np.float64))).sum(1)
    assert lattice.sums == pytest.approx(expected, rel=2e-4)


def test_a_point_lies_in_its_simplex() -> None:
    """Shares are not negative, and those of a point that reaches no other add up to 1 before the normalisation."""
    lattice = Lattice.of(random_points(5, 30, 1e4))
    shares = lattice.weights / lattice.weights.sum(1, keepdims=True)
    assert lattice.neighbours.shape == (6, 180, 2)
    assert (np.sort(lattice.vertices.ravel()) == np.arange(180)).all()
    assert shares.min() > -1e-2 and lattice.sums == pytest.approx(np.ones(30))


def test_neighbours_are_mutual() -> None:
    """If a vertex follows another one along an axis, that one precedes it; M stands for none."""
    neighbours = Lattice.of(random_points(5, 500, 1)).neighbours.astype(np.int64)
    count = neighbours.shape[1]
    for before, after in neighbours.transpose(0, 2, 1):
        known = np.flatnonzero(before < count)
        assert len(known) and (after[before[known]] == known).all()
        assert (before <= count).all() and (after < count).sum() == len(known)


def test_a_gaussian_is_approximated() -> None:
    """In the middle of many points on a grid, the share of a point falls with the distance as a Gaussian does."""
    y, x = np.mgrid[:25, :25].reshape(2, -1).astype(np.float64) / 2
    row = plain_lattice.kernel(np.stack([x, y]))[312]
    expected = np.exp(-((x - x[312]) ** 2 + (y - y[312]) ** 2) / 2)
    assert np.abs(row / row.max() - expected).max() < 0.2


def test_many_vertices_make_the_table_grow() -> None:
    """More vertices than the table begins with: none is lost, and every point has its own."""
    lattice = Lattice.of(random_points(5, 20_000, 1e4))
    assert lattice.neighbours.shape[1] > 110_000
    assert lattice.vertices.max() == lattice.neighbours.shape[1] - 1


def test_the_same_points_give_the_same_lattice() -> None:
    """Two lattices of the same points are equal byte for byte."""
    one, other = (Lattice.of(random_points(5, 300, 1)) for _ in range(2))
    for name in ("vertices", "weights", "neighbours", "sums"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
