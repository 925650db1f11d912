"""Clusters of the segments of one object class that hold across images.

P segments, D feature size, K clusters, R >= K centres (a part that was merged has several), U = D + 5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stages.kernels.clustering.kmeans import closeness, kmeans
from stages.kernels.naming.choice import merged, stable_k
from stages.kernels.naming.matching import match_each, repeats
from stages.kernels.naming.place import Joined, split
from stages.kernels.naming.scorer import REPEATS, Scorer
from stages.kernels.naming.space import fit_space, inputs, means_of
from stages.kernels.ranking import Clusters
from stages.kernels.silhouette import silhouettes

__all__ = ["How", "fit"]

ROUNDS = 10
"""Most rounds of matching segments and moving centres."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class How:
    """How to cluster; the settings of stage ``ranking`` say what each does."""

    k: int
    k_min: int = 0
    n_init: int = 1
    seed: int = 0
    normalize: bool = False
    whiten: int = 0
    place: float = 0.0
    centre: bool = False
    matching: bool = False
    merge: float = 0.0


def fit(vectors: Joined, how: How) -> tuple[Clusters, Scorer]:
    """The clusters of joined vectors (P, D + 6) of one class, object after object, and what scores other segments.

    The centroids of the clusters are the mean features (K, D) of their members, as they were given; distances and
    silhouettes are those of the space in which they were clustered.

    Raises:
        TooFewPoints: if fewer than k segments are distinct.
    """
    features, places, groups = split(vectors)
    data = inputs(features, places, groups, normalize=how.normalize, centre=how.centre)
    if len(data) < max(how.k_min, how.k):
        kmeans(data, max(how.k_min, how.k), how.seed)  # raises
    space = fit_space(data, whiten=how.whiten, place=how.place)
    points = space.points(data)
    number = _number(points, groups, how)
    centres, member, shares = _clustered(points, groups, replace(how, k=number))
    part = merged(points, centres, member, groups, how.merge) if how.merge else np.arange(len(centres))
    weights, bias = space.scorers(centres)
    own = part[member]
    if how.merge and part.max() + 1 < len(part):
        shares = repeats(own, groups, int(part.max()) + 1)
    scorer = Scorer(weights, bias, part, shares, normalize=how.normalize, centre=how.centre, matching=how.matching)
    return _described(points, centres, member, own, features, how.seed), scorer


def _number(points: Floats, groups: Ints, how: How) -> int:
    if not how.k_min or how.k_min >= how.k:
        return how.k

    def clustering(marked: npt.NDArray[np.bool_], k: int) -> Ints:
        return _nearest(points, kmeans(points[marked], k, how.seed, how.n_init))

    return stable_k(groups, range(how.k_min, how.k + 1), clustering, how.seed)


def _clustered(points: Floats, groups: Ints, how: How) -> tuple[Floats, Ints, Floats]:
    """Centres, the cluster of each point, and how often each cluster repeats in an object."""
    centres = kmeans(points, how.k, how.seed, how.n_init)
    member = _nearest(points, centres)
    shares = repeats(member, groups, how.k)
    for _ in range(ROUNDS if how.matching else 0):
        before, member = member, match_each(closeness(points, centres, "l2"), groups, shares > REPEATS)
        if (before == member).all():
            break
        has_members = np.bincount(member, minlength=how.k)[:, None] > 0
        centres = np.where(has_members, means_of(points, member, how.k), centres).astype(np.float32)
    return centres, member, shares


def _nearest(points: Floats, centres: Floats) -> Ints:
    return np.asarray(closeness(points, centres, "l2").argmax(1), np.int64)


def _described(points: Floats, centres: Floats, member: Ints, own: Ints, features: Floats, seed: int) -> Clusters:
    """The clusters as the table has them; ``own`` (P,) are their numbers, and ``member`` (P,) the nearest centres."""
    number = int(own.max()) + 1
    counts = np.bincount(own, minlength=number)
    distances = np.linalg.norm(points - centres[member], axis=1)
    return Clusters(
        means_of(features, own, number).astype(np.float32),
        counts.astype(np.int64),
        (np.bincount(own, distances, minlength=number) / np.maximum(counts, 1)).astype(np.float32),
        silhouettes(points, own, number, seed),
    )
