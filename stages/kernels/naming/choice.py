"""How many clusters a class has: the number that is found again in other images, and clusters that are one part.

P segments, K clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from stages.kernels.clustering.stability import agreement

__all__ = ["GAP", "TIE", "merged", "stable_k"]

TIE = 0.05
"""Agreements that differ by less are equal."""
GAP = 3.0
"""Centres that are fewer standard deviations apart may be one part. Two halves of a normal distribution have 2.65."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def stable_k(
    groups: Ints, sizes: Sequence[int], fit: Callable[[npt.NDArray[np.bool_], int], Ints], seed: int, splits: int = 4
) -> int:
    """The number of clusters on which two halves of the objects agree best; of those that agree about equally, most.

    The objects are divided into halves at random, ``splits`` times. Each half gives a clustering of all segments, and
    the agreement is their adjusted Rand index (:func:`~stages.kernels.clustering.stability.agreement`).

    Args:
        groups: (P,) number of each segment's object. sizes: the numbers of clusters to try.
        fit: (P,) bool and a number of clusters -> the cluster of each of the P segments, learnt from those marked.
    """
    random, number = np.random.default_rng(seed), int(groups.max(initial=-1)) + 1
    halves = [random.permutation(number)[: number // 2] for _ in range(splits)]
    marked = [np.isin(groups, half) for half in halves]
    agreed = [np.mean([agreement(fit(half, k), fit(~half, k)) for half in marked]) for k in sizes]
    best = max(agreed)
    return max(k for k, value in zip(sizes, agreed, strict=True) if value > best - TIE)


def merged(points: Floats, centres: Floats, member: Ints, groups: Ints, rarely: float) -> Ints:
    """(K,) int64: the number of the part that each cluster is, from 0, in the order of the clusters.

    Two clusters are one part if they look alike and rarely meet in one object: fewer times than ``rarely`` times what
    is expected of clusters that know nothing of each other. They look alike if, along the line between their centres,
    the centres are less than ``GAP`` standard deviations of the members apart. Pairs are tried by rising distance, and
    parts that were merged count as one from then on. Two clusters that lie on each other are not looked for: labels
    give each pixel one of them.

    Args:
        points: (P, E). centres: (K, E). member: (P,) cluster of each. groups: (P,) number of each segment's object.
    """
    part, number = np.arange(len(centres)), int(groups.max(initial=-1)) + 1
    apart = np.linalg.norm(centres[:, None] - centres, axis=2)
    gaps = apart / np.maximum(_spreads(points, centres, member, apart), 1e-12)
    seen = np.zeros((len(centres), number), bool)
    seen[member, groups] = True
    alike = np.argwhere(np.triu(gaps < GAP, 1))
    for first, second in sorted(alike.tolist(), key=lambda pair: (apart[pair[0], pair[1]], pair)):
        one, other = part[first], part[second]
        a, b = seen[part == one].any(0), seen[part == other].any(0)
        if one != other and (a & b).sum() < rarely * a.sum() * b.sum() / max(number, 1):
            part[part == other] = one
    return np.unique(part, return_inverse=True)[1].astype(np.int64)


def _spreads(points: Floats, centres: Floats, member: Ints, apart: Floats) -> Floats:
    """(K, K): the root mean square of two clusters' standard deviations along the line between their centres."""
    own = np.zeros((len(centres), len(centres)))
    for number, centre in enumerate(centres):
        lines = (centres - centre) / np.maximum(apart[number], 1e-12)[:, None]
        own[number] = ((points[member == number] - centre) @ lines.T).std(0) if (member == number).any() else 0
    return np.sqrt((np.square(own) + np.square(own.T)) / 2).astype(np.float32)
