"""Mean-field inference against matrices, and the parts of it."""

from __future__ import annotations

import numpy as np
import pytest

from stages.kernels.permutohedral import Lattice, mean_field
from stages.kernels.permutohedral.inference import _exponentials
from tests.stages.kernels.permutohedral import plain_lattice


@pytest.mark.parametrize(("num_labels", "iterations"), [(2, 1), (2, 10), (4, 3), (5, 10), (6, 5), (9, 2), (10, 10)])
def test_marginals_are_those_of_matrices(num_labels: int, iterations: int) -> None:
    """For numbers of labels that fill lanes, exceed them by one or leave most of them empty."""
    rng = np.random.default_rng(num_labels)
    points = [rng.standard_normal((d, 150)).astype(np.float32) for d in (2, 5)]
    labels = rng.integers(0, num_labels, 150).astype(np.int32)
    kernels = [(Lattice.of(array), weight) for array, weight in zip(points, (3.0, 10.0), strict=True)]
    found = mean_field(labels, num_labels, 0.7, kernels, iterations)
    matrices = [plain_lattice.normalised(plain_lattice.kernel(array.astype(np.float64))) for array in points]
    pairs = list(zip(matrices, (3.0, 10.0), strict=True))
    expected = plain_lattice.mean_field(labels, num_labels, 0.7, pairs, iterations)
    assert found.shape == (150, num_labels) and found.dtype == np.float32
    assert found == pytest.approx(expected, abs=2e-3)


def test_without_neighbours_the_evidence_decides() -> None:
    """A pixel alone gets its own label at least as often as its evidence says; zero weights leave the evidence."""
    lattice = Lattice.of(np.zeros((2, 1), np.float32))
    found = mean_field(np.array([2], np.int32), 3, 0.6, [(lattice, 0.0)], 4)
    assert found == pytest.approx(np.array([[0.2, 0.2, 0.6]]), abs=1e-6)
    assert mean_field(np.array([2], np.int32), 3, 0.6, [(lattice, 1.0)], 4)[0, 2] > 0.6


def test_huge_weights_stay_finite() -> None:
    """Messages of a million neither overflow nor leave a chance outside 0..1."""
    points = np.random.default_rng(0).standard_normal((2, 2000)).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 4, 2000).astype(np.int32)
    found = mean_field(labels, 4, 0.7, [(Lattice.of(points), 1e6)], 5)
    assert np.isfinite(found).all() and found.min() >= 0 and found.sum(1) == pytest.approx(np.ones(2000), abs=1e-5)


def test_exponentials_are_those_of_numpy() -> None:
    """Down to -87 the relative error is below 1e-6; below, the result is as good as zero, and never zero."""
    numbers = np.linspace(-87, 0, 10_001, dtype=np.float32)
    found = numbers.copy()
    _exponentials(found)
    assert found == pytest.approx(np.exp(numbers.astype(np.float64)), rel=1e-6)
    tail = np.array([-100, -1e30], np.float32)
    _exponentials(tail)
    assert (tail > 0).all() and (tail < 1e-37).all()
