"""How stable and how separate clusters are, found without ground truth: the same points are clustered again, otherwise.

Two clusterings of the same points agree by the adjusted Rand index (Hubert and Arabie, 1985): 1 if they are equal, 0 on
average if they have nothing but the sizes of their clusters in common. The numbers of clusters need not be equal.

``docs/part_benchmarks.md`` has the exact definitions.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from pdstore.masks import resize_nearest
from stages.kernels.clustering.grouping import assign
from stages.kernels.clustering.kmeans import Metric, TooFewPoints, closeness, kmeans, unit_length
from stages.kernels.clustering.kmeans_starts import best_of_starts
from stages.kernels.silhouette import silhouettes

__all__ = ["Method", "agreement", "of_class", "of_object"]

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.integer]
FEWEST = 2
"""The smallest k."""


@dataclass(frozen=True)
class Method:
    """How points are clustered: the settings of the same names of ``grouping`` and ``ranking``."""

    k: int
    metric: Metric
    seed: int
    n_init: int

    @property
    def reseeded(self) -> Method:
        """The same method from another seed."""
        return replace(self, seed=(self.seed + 1) % 2**32)

    @property
    def neighbours(self) -> list[Method]:
        """The same method with one cluster less and one more."""
        return [replace(self, k=k) for k in (self.k - 1, self.k + 1) if k >= FEWEST]


def agreement(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """The adjusted Rand index of two clusterings (P,) of the same points, at most 1."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(np.ravel(first), np.ravel(second)))


def of_object(maps: Floats, mirrored: Floats, mask: Bools, method: Method) -> dict[str, float]:
    """How the parts of one object change if its pixels are grouped otherwise.

    Args:
        maps: (C, h, w), the features of the image. mirrored: those of its mirror image, left for right.
        mask: (H, W) bool, the object.

    Returns:
        ``silhouette`` of the feature cells inside the object, and the agreement of the object's pixels: with another
        seed (``seeds``), with the mirror image, mirrored back (``mirror``), and on average with one part less and one
        more (``k``). What has too few points, or parts, is NaN.

    Raises:
        TooFewPoints: fewer than k distinct features lie inside the mask.

    Cost: five groupings, and the silhouette.
    """
    points = _inside(maps, mask)
    centroids = best_of_starts(points, method.k, method.seed, method.n_init)
    own = assign(maps, mask, centroids, method.metric)

    def again(features: Floats, outline: Bools, other: Method) -> Labels:
        found = best_of_starts(_inside(features, outline), other.k, other.seed, other.n_init)
        return assign(features, outline, found, other.metric)

    def in_mirror() -> float:
        return agreement(own[mask], again(mirrored, mask[:, ::-1], method)[:, ::-1][mask])

    def otherwise(other: Method) -> float:
        return agreement(own[mask], again(maps, mask, other)[mask])

    return {
        "silhouette": _silhouette(points, closeness(points, centroids, method.metric).argmax(1), method),
        "seeds": _mean_of(partial(otherwise, method.reseeded)),
        "mirror": _mean_of(in_mirror),
        "k": _mean_of(*(partial(otherwise, other) for other in method.neighbours)),
    }


def of_class(features: npt.ArrayLike, is_normalized: bool, method: Method) -> dict[str, float]:
    """How the clusters of one object class change if its segments are clustered otherwise.

    Args:
        features: (P, D), one per segment.
        is_normalized: scale them to unit length first.

    Returns:
        ``silhouette`` of the segments, and the agreement of their clusters: with another seed (``seeds``), of the
        centroids of two random halves of the segments, each asked for all of them (``halves``), and on average with one
        cluster less and one more (``k``). What has too few points, or clusters, is NaN.

    Raises:
        TooFewPoints: fewer than k of the features are distinct.

    Cost: six times k-means, and the silhouette.
    """
    points = unit_length(features) if is_normalized else np.asarray(features, np.float32)

    def clusters(other: Method, some: npt.NDArray[np.int64] | None = None) -> Labels:
        learnt = points if some is None else points[some]
        centroids = kmeans(learnt, other.k, other.seed, other.n_init)
        return np.asarray(closeness(points, centroids, other.metric).argmax(1))

    own = clusters(method)

    def of_halves() -> float:
        order = np.random.default_rng(method.seed).permutation(len(points))
        return agreement(*(clusters(method, np.sort(half)) for half in np.array_split(order, 2)))

    def otherwise(other: Method) -> float:
        return agreement(own, clusters(other))

    return {
        "silhouette": _silhouette(points, own, method),
        "seeds": _mean_of(partial(otherwise, method.reseeded)),
        "halves": _mean_of(of_halves),
        "k": _mean_of(*(partial(otherwise, other) for other in method.neighbours)),
    }


def _inside(maps: Floats, mask: Bools) -> Floats:
    """(P, C): the feature cells inside the object."""
    return np.asarray(maps[:, resize_nearest(mask, maps.shape[1], maps.shape[2])].T, np.float32)


def _silhouette(points: Floats, member: Labels, method: Method) -> float:
    """The mean over the clusters, each with the weight of its members; NaN if only one has any."""
    sizes = np.bincount(member, minlength=method.k)
    values = silhouettes(points, member, method.k, method.seed)
    has_members = sizes > 0
    return float(np.average(values[has_members], weights=sizes[has_members]))


def _mean_of(*comparisons: Callable[[], float]) -> float:
    """The mean of the comparisons for which there are enough points; NaN if there is none."""
    found = []
    for compare in comparisons:
        with suppress(TooFewPoints):
            found.append(compare())
    return float(np.mean(found)) if found else float("nan")
