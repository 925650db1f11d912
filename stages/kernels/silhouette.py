"""How well clusters are apart: the silhouette (Rousseeuw, 1987) of a sample of each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["SAMPLE", "silhouettes"]

SAMPLE = 128
"""Members of a cluster that are looked at."""


def silhouettes(
    points: npt.NDArray[np.floating], member: npt.ArrayLike, k: int, seed: int, sample: int = SAMPLE
) -> npt.NDArray[np.float32]:
    """(k,) float32, -1 to 1: the mean of (b - a) / max(a, b) over the members of each cluster.

    a is a point's mean Euclidean distance to the other members of its cluster, b its mean distance to those of the
    nearest other cluster. A cluster of one point has 0, as is the custom; an empty one, or one that has no other beside
    it, NaN.

    Args:
        points: (P, D). member: (P,) int, cluster of each point, 0..k − 1.
        sample: at most so many members of a cluster, drawn by ``seed``, stand for all of them.

    Cost: O((k · sample)² · D) time and O((k · sample)²) memory, whatever P is. Bias: a sample may take a near cluster
    for the nearest one, so the mean is rather too large than too small.
    """
    rng, clusters = np.random.default_rng(seed), np.asarray(member, np.int64)
    chosen = [rng.permutation(np.flatnonzero(clusters == number))[:sample] for number in range(k)]
    counts = np.array([len(index) for index in chosen])
    filled = np.flatnonzero(counts)
    if len(filled) < 2:
        return np.full(k, np.nan, np.float32)
    from scipy.spatial.distance import cdist

    drawn = points[np.concatenate(chosen)]
    # (n, clusters that have members): summed distances of each drawn point to the members of each cluster.
    totals = np.add.reduceat(cdist(drawn, drawn), (np.cumsum(counts) - counts)[filled], axis=1)
    sizes, own = counts[filled], np.repeat(np.arange(len(filled)), counts[filled])
    rows = np.arange(len(own))
    inside = totals[rows, own] / np.maximum(sizes[own] - 1, 1)
    means = totals / sizes
    means[rows, own] = np.inf
    nearest = means.min(1)
    larger = np.maximum(inside, nearest)
    values = np.where((sizes[own] > 1) & (larger > 0), nearest - inside, 0.0) / np.where(larger > 0, larger, 1.0)
    found = np.full(k, np.nan, np.float32)
    found[filled] = np.bincount(own, values) / sizes
    return found
