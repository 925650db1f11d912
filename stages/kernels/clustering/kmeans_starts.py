"""k-means from many starts on the points of one object, all starts in each product of matrices.

Starts and rules are those of scikit-learn: the same random numbers choose the same k-means++ seeds, and a start ends
when no label changes or its centroids hardly move. So the centroids are those of ``KMeans(k, random_state=seed,
n_init=…)`` up to rounding. They take a fraction of the time, because one product with the centroids of all starts reads
the points once, and because the sums of clusters are corrected by the points that moved, not added up again.

Sources: Lloyd 1982; k-means++ with several candidates per seed, Arthur and Vassilvitskii 2007.

Shapes: P points of D values, S starts, k clusters, T candidates per seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pdstore.runs.compiled import compiled
from stages.kernels.clustering.kmeans import are_distinct, check_points, single_thread, too_few

__all__ = [
    "CENTROIDS_AT_ONCE",
    "TOLERANCE",
    "Start",
    "best_of",
    "best_of_starts",
    "checked_best",
    "first_seeds",
    "random_numbers",
]

TOLERANCE = 1e-4
"""A start ends when the squared shifts of its centroids add up to at most this share of the mean variance."""
CENTROIDS_AT_ONCE = 128
"""Most centroids in one product, so that memory does not grow with the number of starts. A start is not divided."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Start:
    """Where a start ended.

    Attributes:
        centroids: (k, D) float32.
        labels: (P,) int, the nearest centroid of each point.
        inertia: sum of the squared distances of all points to their nearest centroid.
    """

    centroids: Floats
    labels: npt.NDArray[np.integer]
    inertia: float


def best_of_starts(points: npt.ArrayLike, k: int, seed: int, n_init: int = 1, max_iter: int = 300) -> Floats:
    """Centroids (k, D) float32 of points (P, D): those of the start with the smallest inertia.

    Cost: O(n_init · iterations · P · k · D) on a single thread. Memory: a copy of the points, and 128 · P products.

    Raises:
        TooFewPoints: if fewer than k of the points are distinct.
        ValueError: if the points are not (P, D), or not finite.
    """
    given = check_points(points, k)
    with single_thread():
        middle = given.mean(0)
        # A distance is a difference of products: around the origin it loses least to rounding.
        centred = given - middle
        norms = np.einsum("pd,pd->p", centred, centred)
        tolerance = TOLERANCE * float(norms.mean()) / given.shape[1]
        starts: list[Start] = []
        for numbers in random_numbers(k, seed, n_init):
            seeds = _seeds(centred, norms, k, numbers)
            starts = [best_of([*starts, *_lloyd(centred, norms, centred[seeds], tolerance, max_iter)], k)]
        centroids: Floats = checked_best(starts[0], lambda: given, k) + middle
    return centroids


def random_numbers(k: int, seed: int, n_init: int) -> Iterator[Doubles]:
    """(S, 1 + (k − 1) T) in [0, 1), for as many starts at once as a product has room for.

    A row is for one start: a number for its first seed, then T for each further seed. They draw T candidates, of which
    the one that helps most becomes the seed.
    """
    random, trials, room = np.random.RandomState(seed), 2 + int(np.log(k)), max(1, CENTROIDS_AT_ONCE // k)
    for first in range(0, n_init, room):
        yield random.random_sample((min(room, n_init - first), 1 + (k - 1) * trials))


def first_seeds(numbers: Doubles, num_points: int) -> Ints:
    """(S,) random numbers in [0, 1) -> the first seed of each start, every point being as likely as the others."""
    shares = np.cumsum(np.full(num_points, 1 / num_points))
    return np.searchsorted(shares / shares[-1], numbers, side="right").astype(np.int64)


def best_of(starts: Sequence[Start], k: int) -> Start:
    """The start with the smallest inertia; of those that found the same clusters, the first."""
    best = starts[0]
    for start in starts[1:]:
        if start.inertia < best.inertia and len(np.unique(best.labels.astype(np.int64) * k + start.labels)) > k:
            best = start
    return best


def checked_best(best: Start, points: Callable[[], Floats], k: int) -> Floats:
    """The centroids of the best start.

    Args:
        points: gives the (P, D) points, which are looked at only if something is wrong.

    Raises:
        TooFewPoints: if it left a cluster empty, or if centroids are the same because too few points differ.
    """
    if len(np.unique(best.labels)) < k or not are_distinct(best.centroids, points):
        raise too_few(k, points())
    return best.centroids


def _seeds(points: Floats, norms: Floats, k: int, numbers: Doubles) -> Ints:
    """(S, k): the k-means++ seeds of every start, as indices of points.

    Args:
        norms: (P,) squared lengths of the points.
        numbers: (S, 1 + (k − 1) T) random numbers in [0, 1).
    """
    chosen = np.empty((len(numbers), k), np.int64)
    closest = np.full((len(numbers), len(points)), np.inf, np.float32)
    candidates, trials = first_seeds(numbers[:, 0], len(points))[:, None], (numbers.shape[1] - 1) // max(k - 1, 1)
    for number in range(k):
        if number:
            # In single precision, as scikit-learn adds them: a point at a border is drawn there and here.
            reached, total = np.cumsum(closest, 1, dtype=np.float32), closest.sum(1)[:, None]
            drawn = numbers[:, 1 + (number - 1) * trials : 1 + number * trials] * total
            found = [np.searchsorted(*pair) for pair in zip(reached, drawn, strict=True)]
            candidates = np.minimum(found, len(points) - 1)
        different, which = np.unique(candidates, return_inverse=True)
        products = np.ascontiguousarray((points @ points[different].T).T)
        best = _take_best(products, norms, different, which.reshape(candidates.shape), closest)
        chosen[:, number] = np.take_along_axis(candidates, best[:, None], 1)[:, 0]
    return chosen


def _lloyd(points: Floats, norms: Floats, centroids: Floats, tolerance: float, max_iter: int) -> list[Start]:
    """Every start to its end.

    Args:
        centroids: (S, k, D), the seeds, which are overwritten.
    """
    labels = np.full((len(centroids), len(points)), -1, np.int32)
    sums, counts = np.zeros(centroids.shape), np.zeros(centroids.shape[:2], np.int64)
    going, is_settled = np.arange(len(centroids)), np.zeros(len(centroids), bool)
    for _ in range(max_iter):
        before = centroids[going]
        moved = _nearest(points, before, going, labels, sums, counts)
        after = _means(points, before, labels[going], sums[going], counts[going])
        centroids[going], is_settled[going] = after, moved == 0
        going = going[(moved > 0) & (np.square(after - before).sum((1, 2)) > tolerance)]
        if not len(going):
            break
    # The centroids of the others have moved once more since their points were assigned.
    if not np.all(is_settled):
        rest = np.flatnonzero(~is_settled)
        _nearest(points, centroids[rest], rest, labels, sums, counts)
    exact = centroids.astype(np.float64)
    from_origin = counts * np.square(exact).sum(2) - 2 * (sums * exact).sum(2)
    inertia = norms.sum(dtype=np.float64) + from_origin.sum(1)
    return [Start(*ended) for ended in zip(centroids, labels, inertia.tolist(), strict=True)]


def _nearest(points: Floats, centroids: Floats, going: Ints, labels: Labels, sums: Doubles, counts: Ints) -> Ints:
    """Assign all points in the starts ``going``, whose centroids are given; (S,) how many points moved in each."""
    flat = centroids.reshape(-1, points.shape[1])
    return _move(points, points @ flat.T, np.einsum("cd,cd->c", flat, flat), going, labels, sums, counts)


def _means(points: Floats, before: Floats, labels: Labels, sums: Doubles, counts: Ints) -> Floats:
    """(S, k, D): the means of all clusters. A cluster without points gets one of the points that are farthest away."""
    for start in np.flatnonzero((counts == 0).any(1)):
        empty = np.flatnonzero(counts[start] == 0)
        distances = np.square(points - before[start, labels[start]]).sum(1)
        far = np.argsort(-distances, kind="stable")[: len(empty)]
        for cluster, point in zip(empty, far, strict=True):
            former = labels[start, point]
            # The point leaves its own cluster only for this mean: its label changes with the next assignment.
            sums[start, former] -= points[point]
            sums[start, cluster] += points[point]
            counts[start, former] -= 1
            counts[start, cluster] += 1
    return np.where(counts[..., None] > 0, sums / np.maximum(counts, 1)[..., None], before).astype(np.float32)


@compiled
def _take_best(products: Floats, norms: Floats, different: Ints, which: Ints, closest: Floats) -> Ints:
    """(S,): the candidate that brings the points of each start closest to a seed; ``closest`` is brought up to date.

    Args:
        products: (U, P), of the U different candidates with all points.
        different: (U,) indices of points.
        which: (S, T) rows of ``products``.
        closest: (S, P) squared distance of each point to its nearest seed so far.
    """
    num_starts, trials = which.shape
    num_points = len(norms)
    best = np.zeros(num_starts, np.int64)
    distances = np.empty((len(different), num_points), np.float32)
    for row in range(len(different)):
        own = norms[different[row]]
        for point in range(num_points):
            distances[row, point] = max(own + norms[point] - 2 * products[row, point], np.float32(0))
        distances[row, different[row]] = 0
    for start in range(num_starts):
        smallest = np.inf
        for trial in range(trials):
            row, total = which[start, trial], 0.0
            for point in range(num_points):
                total += min(closest[start, point], distances[row, point])
            if total < smallest:
                smallest, best[start] = total, trial
        row = which[start, best[start]]
        for point in range(num_points):
            closest[start, point] = min(closest[start, point], distances[row, point])
    return best


@compiled
def _move(
    points: Floats, products: Floats, norms: Floats, going: Ints, labels: Labels, sums: Doubles, counts: Ints
) -> Ints:
    """Give every point its nearest centroid, and correct labels, sums and counts where it is another than before.

    Args:
        products: (P, G · k), with the centroids of the G starts ``going``, whose squared lengths are ``norms``.
        labels, sums, counts: (S, P), (S, k, D) and (S, k), of all starts. Label −1 is that of a point not yet assigned.
    """
    k, width = counts.shape[1], points.shape[1]
    moved = np.zeros(len(going), np.int64)
    for point in range(len(points)):
        for i in range(len(going)):
            start, first = going[i], i * k
            nearest, smallest = 0, norms[first] - 2 * products[point, first]
            for cluster in range(1, k):
                distance = norms[first + cluster] - 2 * products[point, first + cluster]
                if distance < smallest:
                    nearest, smallest = cluster, distance
            former = labels[start, point]
            if nearest == former:
                continue
            moved[i] += 1
            labels[start, point] = nearest
            counts[start, nearest] += 1
            for j in range(width):
                sums[start, nearest, j] += points[point, j]
            if former >= 0:
                counts[start, former] -= 1
                for j in range(width):
                    sums[start, former, j] -= points[point, j]
    return moved
