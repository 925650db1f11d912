"""k-means of several objects at once on a device, against scikit-learn's of one after the other."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
import pytest
import torch

from stages.kernels.clustering.kmeans import TooFewPoints, kmeans

MODULE = "stages.kernels.clustering.torch_grouping"

pytestmark = pytest.mark.skipif(importlib.util.find_spec(MODULE) is None, reason="objects are grouped on the CPU only")


def objects(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Maps (24, 32, 40) of five kinds of cells with noise, and round masks of the same size, from small to large."""
    rng, found = np.random.default_rng(0), []
    y, x = np.mgrid[:32, :40]
    for number in range(count):
        kinds = 4 * rng.normal(size=(5, 24))
        cells = kinds[rng.integers(0, 5, (32, 40))] + rng.normal(size=(32, 40, 24))
        found.append((cells.transpose(2, 0, 1).astype(np.float32), np.hypot(y - 16, x - 20) < 7 + number))
    return found


def inertia(points: np.ndarray, centroids: np.ndarray) -> float:
    return float(np.square(points[:, None] - centroids).sum(2).min(1).sum())


def grouped(device: str, chosen: list[tuple[np.ndarray, np.ndarray]], **settings: Any) -> list[Any]:
    module = importlib.import_module(MODULE)
    given = [(torch.from_numpy(maps).to(device), mask) for maps, mask in chosen]
    found: list[Any] = module.group_objects(given, **settings)
    return found


def test_groups_are_as_tight_as_scikit_learns(device: str) -> None:
    """The sum of squared distances to the means of the groups is at most one percent more."""
    chosen = objects(6)
    for (maps, mask), groups in zip(chosen, grouped(device, chosen, k=5, metric="l2", n_init=10), strict=True):
        points = maps[:, mask].T
        assert inertia(points, groups.features) <= 1.01 * inertia(points, kmeans(points, 5, 0, 10))
        assert ((groups.labels >= 0) == mask).all() and len(np.unique(groups.labels[mask])) == 5


def test_an_object_does_not_depend_on_the_others(device: str) -> None:
    """It gives the same groups alone and beside others, and too few cells are an error of that object alone."""
    chosen = objects(4)
    chosen[1] = chosen[1][0], np.zeros((32, 40), bool)
    together = grouped(device, chosen, k=3, n_init=2)
    (alone,) = grouped(device, chosen[2:3], k=3, n_init=2)
    assert isinstance(together[1], TooFewPoints)
    assert (together[2].labels == alone.labels).all() and np.array_equal(together[2].features, alone.features)
