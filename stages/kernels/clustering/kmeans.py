"""Seeded k-means on a single thread: the same points and the same seed give the same centroids.

:func:`kmeans` is scikit-learn's, whose memory stays small for the many segments of an object class. For many starts on
the few points of one object, :mod:`stages.kernels.clustering.kmeans_starts` finds the same in less time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pdstore.errors import PdError

__all__ = [
    "Metric",
    "TooFewPoints",
    "are_distinct",
    "check_points",
    "closeness",
    "kmeans",
    "single_thread",
    "too_few",
    "unit_length",
]

Metric = Literal["dot", "l2"]
Floats = npt.NDArray[np.float32]


class TooFewPoints(PdError, ValueError):
    """There are fewer distinct points than requested clusters. Centroids are never made up to fill the gap."""


def kmeans(points: npt.ArrayLike, k: int, seed: int, n_init: int = 1, max_iter: int = 300) -> Floats:
    """Centroids (k, D) float32 of points (P, D): Lloyd's iterations from a k-means++ start.

    Cost: O(n_init · iterations · P · k · D). The distance is Euclidean, whatever metric the centroids are used with.

    Raises:
        TooFewPoints: if fewer than k of the points are distinct.
        ValueError: if a point is not finite.
    """
    data = check_points(points, k)
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with single_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the cause of the warning is checked just below
        fitted = KMeans(k, random_state=seed, n_init=n_init, max_iter=max_iter).fit(data)
    if len(np.unique(fitted.labels_)) < k:
        raise too_few(k, data)
    return np.asarray(fitted.cluster_centers_, np.float32)


def closeness(points: Floats, centroids: Floats, metric: Metric) -> Floats:
    """(P, k) float32, larger is nearer: x·c for ``dot``, 2x·c − |c|² for ``l2``.

    The second equals −|x − c|² + |x|². It omits the term that is the same for every centroid, so values within a row
    can be compared, but they are not distances.
    """
    product: Floats = points @ centroids.T
    if metric == "dot":
        return product
    return np.asarray(2 * product - np.square(centroids).sum(1), np.float32)


def unit_length(points: npt.ArrayLike, axis: int = -1) -> Floats:
    """Vectors scaled to length 1 along ``axis``, float32; a zero vector stays zero."""
    data = np.asarray(points, np.float32)
    length = np.linalg.norm(data, axis=axis, keepdims=True)
    return np.asarray(data / np.maximum(length, 1e-12), np.float32)


def check_points(points: npt.ArrayLike, k: int) -> Floats:
    """(P, D) float32, each point in one piece.

    Raises:
        TooFewPoints: if there are fewer than k points.
        ValueError: if ``points`` does not have two dimensions, or a value is not finite.
    """
    data = np.ascontiguousarray(points, np.float32)
    if data.ndim != 2:
        raise ValueError(f"points must be (P, D), got shape {data.shape}")
    if len(data) < k:
        raise too_few(k, data)
    if not np.all(np.isfinite(data)):
        raise ValueError("points must be finite, found NaN or infinity")
    return data


def are_distinct(centroids: Floats, points: Callable[[], Floats]) -> bool:
    """Whether the points have at least k different values, which are counted only if two centroids are all but equal.

    Equal points may be divided by the rounding of their distances, so a cluster with points is not enough.
    """
    exact = centroids.astype(np.float64)
    lengths = np.square(exact).sum(1)
    apart = lengths[:, None] + lengths - 2 * exact @ exact.T
    np.fill_diagonal(apart, np.inf)
    return bool(apart.min(initial=np.inf) > 1e-6 * lengths.mean()) or len(np.unique(points(), axis=0)) >= len(centroids)


def too_few(k: int, data: Floats) -> TooFewPoints:
    """The error that says how many points (P, D) are distinct."""
    distinct = len(np.unique(data, axis=0))
    # The text is stored in rows of errors: other words would be another content of the unit.
    return TooFewPoints(
        f"expected at least {k} distinct points for {k} clusters, found {distinct} distinct of {len(data)}",
        fix="Ask for fewer clusters, or loosen the thresholds that leave so few points",
    )


def single_thread() -> AbstractContextManager[object]:
    """A context in which the libraries of linear algebra use one thread, so that sums have one order."""
    context: AbstractContextManager[object] = _threadpool().limit(limits=1)
    return context


@cache
def _threadpool() -> Any:
    """Cached, because looking up the loaded libraries takes milliseconds, as long as a small k-means."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
