from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.device.streams import beside
from stages.kernels.clustering import torch_kmeans
from stages.kernels.clustering.kmeans_starts import TOLERANCE, _lloyd, _means


def test_empty_clusters_get_the_points_that_numpy_chooses() -> None:
    """Two empty clusters of one start and one of another; padding is never chosen."""
    rng = np.random.default_rng(0)
    points = np.zeros((2, 8, 3), np.float32)
    points[:, :6] = 9 + rng.normal(size=(2, 6, 3))
    is_point = np.arange(8) < np.array([[6], [6]])
    before = (9 + rng.normal(size=(2, 2, 4, 3))).astype(np.float32)
    labels = np.array([[[0, 0, 1, 1, 1, 0], [3, 2, 1, 0, 0, 1]], [[0, 1, 2, 0, 1, 2], [2, 2, 2, 2, 2, 3]]])
    padded = torch.from_numpy(np.pad(labels, ((0, 0), (0, 0), (0, 2))))
    going = torch.tensor([[True, True], [True, False]])
    own_points, own_is_point, own_before = (torch.from_numpy(array) for array in (points, is_point, before))
    sums, counts = torch_kmeans._sums(own_points, own_is_point, padded, 4)
    is_short = (counts == 0).any(2) & going
    torch_kmeans._refill(own_points, own_is_point, own_before, padded, sums, counts, is_short)
    found = (sums / counts[..., None]).numpy()
    for number, start in ((0, 0), (0, 1), (1, 0)):
        member = labels[number, start] == np.arange(4)[:, None]
        own_sums, own_counts = (member @ points[number, :6].astype(float))[None], member.sum(1)[None]
        own = before[number, start][None]
        expected = _means(points[number, :6], own, labels[number, start][None], own_sums, own_counts)[0]
        np.testing.assert_allclose(found[number, start], expected, atol=1e-6)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_starts_end_where_those_of_numpy_end(device: str) -> None:
    """Also those whose seeds are the same twice, so that a cluster has no points, beside others that have them."""
    rng = np.random.default_rng(1)
    points = rng.normal(size=(40, 3)).astype(np.float32) + 4 * rng.integers(0, 2, (40, 1)).astype(np.float32)
    points -= points.mean(0)
    seeds = points[np.array([[0, 1, 2, 3], [5, 5, 5, 9], [7, 8, 8, 11], [20, 20, 20, 20]])]
    norms = np.square(points).sum(1)
    expected = _lloyd(points, norms, seeds, TOLERANCE * float(norms.mean()) / 3, 300)
    padded = torch.from_numpy(np.pad(points, ((0, 24), (0, 0)))[None]).to(device)
    is_point = (torch.arange(64, device=device) < 40)[None]
    with beside(padded.device, None):
        found = torch_kmeans._lloyd(padded, is_point, torch.from_numpy(seeds[None]).to(device), 300)
        centroids, labels, inertia = (values[0].cpu().numpy() for values in found)
    for number, start in enumerate(expected):
        np.testing.assert_allclose(centroids[number], start.centroids, atol=1e-5)
        assert (labels[number, :40] == start.labels).all() and inertia[number] == pytest.approx(start.inertia)
