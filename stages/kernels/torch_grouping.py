"""Pixel grouping on the device of a network: feature maps never leave it, and objects share each product of matrices.

The same steps as in :mod:`stages.kernels.grouping` and :mod:`stages.kernels.kmeans_starts`. Those are faster on a CPU;
this is for a GPU, which would mostly wait if it had one object at a time.

The result of an object does not depend on the objects beside it: its points are padded to a power of two, and as many
objects share a product as that size allows, empty ones if there are no others. So the shapes of all products, by which
libraries choose the order of their sums, depend on the object alone.

Shapes: B objects, P points (with padding) of D values, S starts, k clusters, T candidates per seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pdstore.masks import resize_nearest
from stages.kernels.grouping import Grouping
from stages.kernels.kmeans import Metric, TooFewPoints, check_points
from stages.kernels.kmeans_starts import (
    CENTROIDS_AT_ONCE,
    TOLERANCE,
    Start,
    best_of,
    checked_best,
    first_seeds,
    random_numbers,
)
from stages.kernels.resize import interpolation

__all__ = ["OBJECTS_AT_ONCE", "group_objects", "join_maps"]

OBJECTS_AT_ONCE = 8
"""Most objects that share a product."""
_BYTES_AT_ONCE = 2**29
"""Most bytes that several objects take together; a single object may take more."""
_FEWEST_POINTS = 64

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def join_maps(maps: Sequence[Tensor], is_normalized: bool = False) -> Tensor:
    """Maps (C_i, h_i, w_i) on one device -> (sum of C_i, h_0, w_0) float32, resized bilinearly to the first one's size.

    Args:
        is_normalized: scale each map to unit length over its channels before it is resized; zero vectors stay zero.
    """
    if is_normalized:
        maps = [m / m.norm(dim=0, keepdim=True).clamp(min=1e-12) for m in maps]
    height, width = maps[0].shape[1:]
    return torch.cat([_resized(m, height, width) for m in maps])


def group_objects(
    objects: Sequence[tuple[Tensor, Bools]],
    k: int,
    metric: Metric = "dot",
    seed: int = 0,
    *,
    n_init: int = 1,
    max_iter: int = 300,
) -> list[Grouping | TooFewPoints]:
    """What :func:`~stages.kernels.grouping.group_pixels` finds in each object, up to rounding.

    Args:
        objects: for each its feature maps (C, h, w) float32, all on one device, and its mask (H, W) bool.

    Returns:
        For each its groups, or the error that says that too few of its points are distinct.

    Raises:
        ValueError: if a point is not finite.
    """
    found: dict[int, Grouping | TooFewPoints] = {}
    points: dict[int, Tensor] = {}
    together: dict[tuple[int, int], list[int]] = {}
    for number, (maps, mask) in enumerate(objects):
        own = maps[:, torch.from_numpy(resize_nearest(mask, *maps.shape[1:])).to(maps.device)].T.contiguous()
        if len(own) < k or not bool(torch.isfinite(own).all()):
            found[number] = _refused(own, k)
        else:
            points[number] = own
            together.setdefault((_padded(len(own)), own.shape[1]), []).append(number)
    for (num_points, width), numbers in together.items():
        room = _room(num_points, width, k, n_init)
        for first in range(0, len(numbers), room):
            own_numbers = numbers[first : first + room]
            starts = _kmeans([points[i] for i in own_numbers], num_points, room, k, seed, n_init, max_iter)
            for number, start in zip(own_numbers, starts, strict=True):
                try:
                    centroids = checked_best(start, partial(_on_host, points[number]), k)
                except TooFewPoints as error:
                    found[number] = error
                else:
                    found[number] = _groups(*objects[number], centroids, metric)
    return [found[number] for number in range(len(objects))]


def _refused(points: Tensor, k: int) -> TooFewPoints:
    """The error for fewer points than clusters. Raises ValueError for points that are not finite."""
    try:
        check_points(_on_host(points), k)
    except TooFewPoints as error:
        return error
    raise AssertionError("points that are enough and finite are not refused")


def _on_host(points: Tensor) -> Floats:
    return np.asarray(points.cpu().numpy(), np.float32)


def _padded(num_points: int) -> int:
    return int(max(_FEWEST_POINTS, 1 << (num_points - 1).bit_length()))


def _room(num_points: int, width: int, k: int, n_init: int) -> int:
    """How many objects share a product. A point takes its D values, and four with each centroid."""
    centroids = max(k, min(k * n_init, CENTROIDS_AT_ONCE))
    return max(1, min(OBJECTS_AT_ONCE, _BYTES_AT_ONCE // (4 * num_points * (width + 4 * centroids))))


def _kmeans(
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
    norms, is_object = points.square().sum(2), is_point.any(1)[:, None]
    spread = norms.sum(1) / is_point.sum(1).clamp(min=1) / points.shape[2]
    labels = torch.full((*centroids.shape[:2], points.shape[1]), -1, device=points.device)
    going = is_object.expand(centroids.shape[:2])
    for _ in range(max_iter):
        nearest, _ = _nearest(points, centroids)
        moved = ((nearest != labels) & is_point[:, None]).any(2)
        means = _means(points, is_point, centroids, nearest, going)
        shift = (means - centroids).square().sum((2, 3))
        centroids = torch.where(going[..., None, None], means, centroids)
        labels = torch.where(going[..., None], nearest, labels)
        going = going & moved & (shift > TOLERANCE * spread[:, None])
        if not bool(going.any()):
            break
    # The centroids have moved once more since their points were assigned.
    labels, smallest = _nearest(points, centroids)
    distances = torch.where(is_point[:, None], norms[:, None] + smallest, 0)
    return centroids, labels, distances.sum(2, dtype=torch.float64)


def _nearest(points: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """(B, S, P) each: the nearest centroid of every point, and the squared distance to it less |x|²."""
    flat = centroids.flatten(1, 2)
    distances = torch.baddbmm(flat.square().sum(2)[..., None], flat, points.mT, alpha=-2)
    smallest, nearest = distances.unflatten(1, centroids.shape[1:3]).min(2)
    return nearest, smallest


def _means(points: Tensor, is_point: Tensor, before: Tensor, labels: Tensor, going: Tensor) -> Tensor:
    """(B, S, k, D): the means of all clusters. One without points gets one of the points that are farthest away."""
    k = before.shape[2]
    member = (labels[:, :, None] == torch.arange(k, device=labels.device)[:, None]) & is_point[:, None, None]
    counts = member.sum(3)
    sums = (member.flatten(1, 2).to(points.dtype) @ points).unflatten(1, before.shape[1:3])
    for i, start in ((counts == 0).any(2) & going).nonzero().tolist():
        empty = (counts[i, start] == 0).nonzero()[:, 0].tolist()
        distances = (points[i] - before[i, start, labels[i, start]]).square().sum(1)
        far = torch.where(is_point[i], distances, -1).argsort(descending=True, stable=True)
        for cluster, point in zip(empty, far[: len(empty)].tolist(), strict=True):
            former = labels[i, start, point]
            for target, sign in ((former, -1), (cluster, 1)):
                sums[i, start, target] += sign * points[i, point]
                counts[i, start, target] += sign
    return torch.where(counts[..., None] > 0, sums / counts.clamp(min=1)[..., None], before)


def _groups(maps: Tensor, mask: Bools, centroids: Floats, metric: Metric) -> Grouping:
    """As :func:`stages.kernels.grouping.assign` and the means of the groups, without upsampling the channels."""
    device = maps.device
    centres, inside = torch.from_numpy(centroids).to(device), torch.from_numpy(np.ascontiguousarray(mask)).to(device)
    scores = torch.tensordot(centres, maps, 1)
    if metric == "l2":
        scores = 2 * scores - centres.square().sum(1)[:, None, None]
    labels = torch.where(inside, _resized(scores, *mask.shape).argmax(0), -1)
    member = (labels == torch.arange(len(centres), device=device)[:, None, None]).to(maps.dtype)
    rows, columns = (_interpolation(n, m, device) for n, m in zip(mask.shape, maps.shape[1:], strict=True))
    area, weight = member.sum((1, 2))[:, None], rows.T @ member @ columns
    mean = torch.tensordot(weight, maps, ((1, 2), (1, 2))) / area.clamp(min=1)
    features = torch.where(area > 0, mean, centres)
    return Grouping(labels.to(torch.int16).cpu().numpy(), features.cpu().numpy())


def _resized(maps: Tensor, height: int, width: int) -> Tensor:
    """(C, h, w) -> (C, height, width), as :func:`stages.kernels.resize.resize_bilinear`."""
    sides = zip((height, width), maps.shape[1:], strict=True)
    rows, columns = (_interpolation(*side, maps.device) for side in sides)
    return rows @ maps @ columns.T


@lru_cache(maxsize=64)
def _interpolation(target: int, source: int, device: torch.device) -> Tensor:
    return torch.from_numpy(interpolation(target, source)).to(device)
