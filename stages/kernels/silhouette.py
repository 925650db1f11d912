"""How well clusters are separated: the silhouette (Rousseeuw, 1987), from a sample of each cluster."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["SAMPLE", "silhouettes"]

SAMPLE = 128
"""Number of members per cluster that stand for all of them."""


def silhouettes(
    points: npt.NDArray[np.floating], member: npt.ArrayLike, k: int, seed: int, sample: int = SAMPLE
) -> npt.NDArray[np.float32]:
    """(k,) float32, -1 to 1: the mean of (b - a) / max(a, b) over the members of each cluster.

    a is a point's mean Euclidean distance to the other members of its cluster, b its mean distance to the members of
    the nearest other cluster. A cluster of one point has 0, by convention. The value is NaN for an empty cluster, and
    if there is only one cluster with members.

    Args:
        points: (P, D).
        member: (P,) int, cluster of each point, 0..k − 1.
        sample: at most this many members of a cluster, drawn by ``seed``, stand for all of them.

    Cost: O((k · sample)² · D) time and O((k · sample)²) memory, whatever P is. Bias: a sample may mistake a near
    cluster for the nearest one, so the mean tends to be too large.
    """
    rng, clusters = np.random.default_rng(seed), np.asarray(member, np.int64)
    chosen = [rng.permutation(np.flatnonzero(clusters == number))[:sample] for number in range(k)]
    counts = np.array([len(index) for index in chosen])
    filled = np.flatnonzero(counts)
    if len(filled) < 2:
        return np.full(k, np.nan, np.float32)
    from scipy.spatial.distance import cdist

    drawn = points[np.concatenate(chosen)]
    # (n, clusters with members): sum of the distances from each drawn point to the members of each cluster.
    totals = np.add.reduceat(cdist(drawn, drawn), (np.cumsum(counts) - counts)[filled], axis=1)
    # home: the place of each drawn point's own cluster among those.
    sizes, home = counts[filled], np.repeat(np.arange(len(filled)), counts[filled])
    rows = np.arange(len(home))
    inside = totals[rows, home] / np.maximum(sizes[home] - 1, 1)
    means = totals / sizes
    means[rows, home] = np.inf
    nearest = means.min(1)
    larger = np.maximum(inside, nearest)
    values = np.where((sizes[home] > 1) & (larger > 0), nearest - inside, 0.0) / np.where(larger > 0, larger, 1.0)
    means_of_clusters = np.full(k, np.nan, np.float32)
    means_of_clusters[filled] = np.bincount(home, values) / sizes
    return means_of_clusters
