"""One segment per part: the segments of each object are matched with the clusters of its class.

Source: the assignment problem (Kuhn, 1955), solved by ``scipy.optimize.linear_sum_assignment``.
P segments, K clusters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["affinities", "match", "match_each", "repeats"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def match(scores: npt.ArrayLike, may_repeat: npt.ArrayLike) -> Ints:
    """(P,) int64: the cluster of each segment of one object, such that the sum of their scores is largest.

    A cluster gets at most one segment, unless it may repeat. Segments for which no cluster is left choose freely.
    Cost: O(P K min(P, K)) or, if a cluster may repeat, the same with P more columns for each such one.

    Args:
        scores: (P, K), larger is nearer, such as the logarithms of probabilities.
        may_repeat: (K,) bool.
    """
    table, repeating = np.asarray(scores, np.float64), np.flatnonzero(np.asarray(may_repeat, bool))
    found = table.argmax(1)
    if len(np.unique(found[~np.isin(found, repeating)])) == np.count_nonzero(~np.isin(found, repeating)):
        return np.asarray(found, np.int64)  # each segment has the best that there is
    from scipy.optimize import linear_sum_assignment

    columns = np.concatenate([np.arange(table.shape[1]), np.repeat(repeating, len(table) - 1)])
    rows, chosen = linear_sum_assignment(table[:, columns], maximize=True)
    found[rows] = columns[chosen]
    return np.asarray(found, np.int64)


def match_each(scores: Floats, groups: Ints, may_repeat: Bools) -> Ints:
    """:func:`match` for several objects: ``groups`` (P,) rising is the number of each segment's object."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    objects = np.split(scores, starts[1:])
    return np.concatenate([np.zeros(0, np.int64), *(match(one, may_repeat) for one in objects if len(one))])


def repeats(clusters: Ints, groups: Ints, num_clusters: int) -> Floats:
    """(K,) float32: of the objects in which a cluster is, the share that have it more than once; 0 if none has it."""
    pairs, counts = np.unique(np.stack([groups, clusters], 1), axis=0, return_counts=True)
    seen = np.bincount(pairs[:, 1], minlength=num_clusters)
    several = np.bincount(pairs[counts > 1, 1], minlength=num_clusters)
    return (several / np.maximum(seen, 1)).astype(np.float32)


def affinities(scores: npt.ArrayLike, chosen: Ints, may_repeat: npt.ArrayLike) -> Floats:
    """(P, K) float32: of each segment, the share of its own cluster, and 0 elsewhere.

    The share is that of a softmax over the clusters that it could have: its own, those that no other segment of the
    object has, and those that may repeat.
    """
    table, is_own = np.asarray(scores, np.float64), np.zeros(np.shape(scores), bool)
    is_own[np.arange(len(chosen)), chosen] = True
    is_taken = np.bincount(chosen, minlength=table.shape[1]) > 0
    is_open = is_own | ~is_taken | np.asarray(may_repeat, bool)
    logits = np.where(is_open, table, -np.inf)
    grown = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
    return np.asarray(np.where(is_own, grown / grown.sum(1, keepdims=True), 0), np.float32)
