"""k-means of several objects from many starts on a GPU: all starts of all objects in each product of matrices.

The same steps as in :mod:`stages.kernels.clustering.kmeans_starts`, which is faster on a CPU.

Shapes: B objects, P points (with padding) of D values, S starts, k clusters, T candidates per seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stages.device.recorded import Recorded
from stages.kernels.clustering.kmeans_starts import TOLERANCE, Start, best_of, first_seeds, random_numbers

__all__ = ["best_starts"]

Doubles = npt.NDArray[np.float64]


def best_starts(
    objects: Sequence[Tensor], num_points: int, room: int, k: int, seed: int, n_init: int, max_iter: int
) -> list[Start]:
    """The best start of each object, given as (P_i, D); its centroids are where the points are.

    Args:
        num_points, room: P and B.
    """
    device, sizes = objects[0].device, [len(own) for own in objects] + [0] * (room - len(objects))
    points = torch.zeros(room, num_points, objects[0].shape[1], device=device)
    middles = [own.mean(0) for own in objects]
    for i, own in enumerate(objects):
        torch.sub(own, middles[i], out=points[i, : len(own)])
    is_point = torch.arange(num_points, device=device) < torch.tensor(sizes, device=device)[:, None]
    best: list[list[Start]] = [[] for _ in objects]
    for numbers in random_numbers(k, seed, n_init):
        seeds = _seeds(points, is_point, sizes, k, numbers)
        centroids = torch.stack([own[chosen] for own, chosen in zip(points, seeds, strict=True)])
        centroids, labels, inertia = _lloyd(points, is_point, centroids, max_iter)
        host = centroids.cpu().numpy(), labels.to(torch.int16).cpu().numpy(), inertia.tolist()
        for i, own in enumerate(objects):
            ended = (host[0][i], host[1][i, :, : len(own)], host[2][i])
            best[i] = [best_of([*best[i], *(Start(*start) for start in zip(*ended, strict=True))], k)]
    shifts = [middle.cpu().numpy() for middle in middles]
    return [
        Start(start.centroids + shift, start.labels, start.inertia)
        for (start,), shift in zip(best, shifts, strict=True)
    ]


def _seeds(points: Tensor, is_point: Tensor, sizes: Sequence[int], k: int, numbers: Doubles) -> Tensor:
    """(B, S, k): the k-means++ seeds of every start, as indices of points.

    Args:
        is_point: (B, P) bool, False for padding.
        sizes: B numbers of points.
        numbers: (S, 1 + (k − 1) T) random numbers in [0, 1), the same for every object.
    """
    device, trials = points.device, (numbers.shape[1] - 1) // max(k - 1, 1)
    norms, last = points.square().sum(2), torch.tensor(sizes, device=device).clamp(min=1)[:, None, None] - 1
    drawn = torch.from_numpy(numbers).to(device).expand(len(points), -1, -1)
    first = np.stack([first_seeds(numbers[:, 0], max(size, 1)) for size in sizes])
    candidates = torch.from_numpy(first).to(device)[..., None]
    closest = torch.where(is_point, torch.inf, 0.0)[:, None].repeat(1, len(numbers), 1)
    chosen = []
    for number in range(k):
        if number:
            # In double precision, because a GPU may add in any order: no order changes which point is drawn.
            reached = closest.double().cumsum(2)
            own = drawn[:, :, 1 + (number - 1) * trials : 1 + number * trials] * reached[..., -1:]
            candidates = torch.minimum(torch.searchsorted(reached, own), last)
        rows = candidates.flatten(1)
        taken = points.gather(1, rows[..., None].expand(-1, -1, points.shape[2]))
        distances = norms[:, None] + norms.gather(1, rows)[..., None] - 2 * taken @ points.mT
        distances = distances.clamp_(min=0).scatter_(2, rows[..., None], 0)
        nearer = torch.minimum(closest[:, :, None], distances.unflatten(1, candidates.shape[1:]))
        best = nearer.sum(3, dtype=torch.float64).argmin(2, keepdim=True)
        closest = nearer.gather(2, best[..., None].expand(-1, -1, -1, nearer.shape[3]))[:, :, 0]
        chosen.append(candidates.gather(2, best))
    return torch.cat(chosen, 2)


def _lloyd(points: Tensor, is_point: Tensor, centroids: Tensor, max_iter: int) -> tuple[Tensor, Tensor, Tensor]:
    """Every start to its end: centroids (B, S, k, D), labels (B, S, P), inertia (B, S) float64.

    Args:
        centroids: (B, S, k, D), the seeds.
    """
    norms = points.square().sum(2)
    tolerance = TOLERANCE * norms.sum(1) / is_point.sum(1).clamp(min=1) / points.shape[2]
    labels = torch.full((*centroids.shape[:2], points.shape[1]), -1, device=points.device)
    going = is_point.any(1)[:, None].expand(centroids.shape[:2])
    step = partial(_step, points, is_point, tolerance[:, None])
    repeat = Recorded(step) if points.is_cuda else step
    for _ in range(max_iter):
        centroids, labels, going, is_short, some = repeat(centroids, labels, going)
        some_go, some_are_short = some.tolist()
        if some_are_short:
            centroids, labels, filled, *_ = step(centroids, labels, is_short, refill=True)
            going = going & ~is_short | filled
        if not some_go:
            break
    # The centroids have moved once more since their points were assigned.
    labels, smallest = _nearest(points, centroids)
    distances = torch.where(is_point[:, None], norms[:, None] + smallest, 0)
    return centroids, labels, distances.sum(2, dtype=torch.float64)


def _step(
    points: Tensor,
    is_point: Tensor,
    tolerance: Tensor,
    centroids: Tensor,
    labels: Tensor,
    going: Tensor,
    *,
    refill: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One step of Lloyd's algorithm for all starts that are still going; the others stay as they are.

    A start in which a cluster has no point is held back, unless ``refill``: which points such a cluster gets can only
    be decided with a look at the numbers, for which the device would have to be waited for in every step.

    Args:
        tolerance: (B, 1), the squared shift of all centroids at which a start ends.
        going: (B, S) bool.

    Returns:
        centroids (B, S, k, D), labels (B, S, P) and going (B, S) after the step; which starts are held back (B, S); and
        (2,) bool, whether there are any of the last two.
    """
    nearest, _ = _nearest(points, centroids)
    moved = ((nearest != labels) & is_point[:, None]).any(2)
    sums, counts = _sums(points, is_point, nearest, centroids.shape[2])
    is_short = (counts == 0).any(2) & going
    if refill:
        _refill(points, is_point, centroids, nearest, sums, counts, is_short)
        is_short = torch.zeros_like(is_short)
    means = torch.where(counts[..., None] > 0, sums / counts.clamp(min=1)[..., None], centroids)
    shift = (means - centroids).square().sum((2, 3))
    steps = going & ~is_short
    centroids = torch.where(steps[..., None, None], means, centroids)
    labels = torch.where(steps[..., None], nearest, labels)
    going = going & (is_short | moved & (shift > tolerance))
    return centroids, labels, going, is_short, torch.stack([going.any(), is_short.any()])


def _nearest(points: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """(B, S, P) each: the nearest centroid of every point, and the squared distance to it less |x|²."""
    flat = centroids.flatten(1, 2)
    distances = torch.baddbmm(flat.square().sum(2)[..., None], flat, points.mT, alpha=-2)
    smallest, nearest = distances.unflatten(1, centroids.shape[1:3]).min(2)
    return nearest, smallest


def _sums(points: Tensor, is_point: Tensor, labels: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(B, S, k, D) and (B, S, k): the sum and the number of the points of each cluster."""
    member = (labels[:, :, None] == torch.arange(k, device=labels.device)[:, None]) & is_point[:, None, None]
    return (member.flatten(1, 2).to(points.dtype) @ points).unflatten(1, member.shape[1:3]), member.sum(3)


def _refill(
    points: Tensor, is_point: Tensor, before: Tensor, labels: Tensor, sums: Tensor, counts: Tensor, is_short: Tensor
) -> None:
    """Give each cluster without points one of those that are farthest from their centroid: change sums and counts."""
    for i, start in is_short.nonzero().tolist():
        empty = (counts[i, start] == 0).nonzero()[:, 0].tolist()
        distances = (points[i] - before[i, start, labels[i, start]]).square().sum(1)
        far = torch.where(is_point[i], distances, -1).argsort(descending=True, stable=True)
        for cluster, point in zip(empty, far[: len(empty)].tolist(), strict=True):
            former = labels[i, start, point]
            for target, sign in ((former, -1), (cluster, 1)):
                sums[i, start, target] += sign * points[i, point]
                counts[i, start, target] += sign
