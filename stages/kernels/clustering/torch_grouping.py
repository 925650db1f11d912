"""Pixel grouping on the device of a network: feature maps never leave it, and objects share each product of matrices.

The same steps as in :mod:`stages.kernels.clustering.grouping`, which is faster on a CPU; this is for a GPU, which would
mostly wait if it had one object at a time.

The result of an object does not depend on the objects beside it: its points are padded to a power of two, and as many
objects share a product as that size allows, empty ones if there are no others. So the shapes of all products, by which
libraries choose the order of their sums, depend on the object alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pdstore.masks import resize_nearest
from stages.device.streams import beside
from stages.kernels.clustering.grouping import Grouping
from stages.kernels.clustering.kmeans import Metric, TooFewPoints, check_points
from stages.kernels.clustering.kmeans_starts import CENTROIDS_AT_ONCE, checked_best
from stages.kernels.clustering.torch_kmeans import best_starts
from stages.kernels.resize import interpolation

__all__ = ["OBJECTS_AT_ONCE", "group_objects", "join_maps"]

OBJECTS_AT_ONCE = 16
"""Most objects that share a product."""
_BYTES_AT_ONCE = 2**29
"""Most bytes that several objects take together; a single object may take more."""
_FEWEST_POINTS = 64

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
_OnDevice = tuple[Tensor, Tensor]
"""The labels and the features of a :class:`Grouping` that a device may still compute."""


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
    ready: torch.cuda.Event | None = None,
) -> list[Grouping | TooFewPoints]:
    """What :func:`~stages.kernels.clustering.grouping.group_pixels` finds in each object, up to rounding.

    A GPU computes it beside what other threads give it.

    Args:
        objects: for each its feature maps (C, h, w) float32, all on one device, and its mask (H, W) bool.
        ready: when the maps are computed, as :func:`~stages.device.streams.moment` says it; by default,
            when all is that the device has been given until now.

    Returns:
        For each its groups, or the error that says that too few of its points are distinct.

    Raises:
        ValueError: if a point is not finite.
    """
    if not objects:
        return []
    with beside(objects[0][0].device, ready):
        return _grouped(objects, k, metric, seed, n_init, max_iter)


def _grouped(
    objects: Sequence[tuple[Tensor, Bools]], k: int, metric: Metric, seed: int, n_init: int, max_iter: int
) -> list[Grouping | TooFewPoints]:
    points = [_points(*each) for each in objects]
    are_finite = torch.stack([torch.isfinite(own).all() for own in points]).tolist()
    found: dict[int, Grouping | TooFewPoints | _OnDevice] = {}
    together: dict[tuple[int, int], list[int]] = {}
    for number, (own, is_finite) in enumerate(zip(points, are_finite, strict=True)):
        if len(own) < k or not is_finite:
            found[number] = _refused(own, k)
        else:
            together.setdefault((_padded(len(own)), own.shape[1]), []).append(number)
    for (num_points, width), numbers in together.items():
        room = _room(num_points, width, k, n_init)
        for first in range(0, len(numbers), room):
            own_numbers = numbers[first : first + room]
            starts = best_starts([points[i] for i in own_numbers], num_points, room, k, seed, n_init, max_iter)
            for number, start in zip(own_numbers, starts, strict=True):
                try:
                    centroids = checked_best(start, partial(_on_host, points[number]), k)
                except TooFewPoints as error:
                    found[number] = error
                else:
                    found[number] = _groups(*objects[number], centroids, metric)
    # Only now, so that the device is told of the last object before the first one is waited for.
    each = (found[number] for number in range(len(objects)))
    return [_copied(groups) if isinstance(groups, tuple) else groups for groups in each]


def _points(maps: Tensor, mask: Bools) -> Tensor:
    """(P, C): the cells inside the mask. The host counts them, and need not wait for the device."""
    cells = np.flatnonzero(resize_nearest(mask, *maps.shape[1:]))
    return maps.flatten(1).index_select(1, torch.from_numpy(cells).to(maps.device)).T.contiguous()


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


def _groups(maps: Tensor, mask: Bools, centroids: Floats, metric: Metric) -> _OnDevice:
    """As :func:`~stages.kernels.clustering.grouping.assign`, and the means of the groups, without larger features."""
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
    return labels.to(torch.int16), features


def _copied(groups: _OnDevice) -> Grouping:
    labels, features = groups
    return Grouping(labels.cpu().numpy(), features.cpu().numpy())


def _resized(maps: Tensor, height: int, width: int) -> Tensor:
    """(C, h, w) -> (C, height, width), as :func:`stages.kernels.resize.resize_bilinear`."""
    sides = zip((height, width), maps.shape[1:], strict=True)
    rows, columns = (_interpolation(*side, maps.device) for side in sides)
    return rows @ maps @ columns.T


@lru_cache(maxsize=64)
def _interpolation(target: int, source: int, device: torch.device) -> Tensor:
    return torch.from_numpy(interpolation(target, source)).to(device)
