"""Pixel grouping: k-means on the features inside an object, then each object pixel goes to its nearest centroid.

Source: paper §3.2, but here the product comes before the upsampling. Both bilinear upsampling and the product with
the centroids are linear, so k score maps are upsampled instead of C feature channels: the same labels for k/C of the
work.

Shapes: C channels, (h, w) feature resolution, (H, W) image resolution, k groups. The features must cover exactly the
(H, W) frame: if the network saw a padded image, pad the mask with False in the same way and crop the labels afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pdstore.masks import resize_nearest
from stages.kernels.clustering.kmeans import Metric, TooFewPoints, unit_length
from stages.kernels.clustering.kmeans_starts import best_of_starts
from stages.kernels.resize import interpolation, resize_bilinear

__all__ = ["Grouping", "TooFewPoints", "assign", "concat_maps", "group_pixels", "normalize"]

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Grouping:
    """Groups of one object.

    Attributes:
        labels: (H, W) int16, −1 outside the object, else the group 0..k−1. A group may be empty.
        features: (k, C) float32, mean of the (upsampled) features over the group's pixels; the k-means centroid
            if the group is empty.
    """

    labels: Labels
    features: Floats


def group_pixels(
    features: npt.ArrayLike,
    mask: Bools,
    k: int,
    metric: Metric = "dot",
    seed: int = 0,
    *,
    n_init: int = 1,
    max_iter: int = 300,
) -> Grouping:
    """Group the pixels of one object into k parts.

    Args:
        features: (C, h, w) float, covering the same frame as ``mask``.
        mask: (H, W) bool, the object in image pixels.
        metric: how pixels choose among the centroids; the k-means itself is Euclidean.
        n_init: number of k-means starts, of which the best is kept.
        max_iter: k-means iterations per start.

    Raises:
        TooFewPoints: if fewer than k distinct features lie inside the mask at feature resolution.
    """
    maps = np.asarray(features, np.float32)
    inside = resize_nearest(mask, maps.shape[1], maps.shape[2])
    centroids = best_of_starts(maps[:, inside].T, k, seed, n_init, max_iter)
    labels = assign(maps, mask, centroids, metric)
    return Grouping(labels, _mean_features(maps, labels, centroids))


def assign(features: npt.ArrayLike, mask: Bools, centroids: Floats, metric: Metric = "dot") -> Labels:
    """(H, W) int16: the centroid nearest to each pixel's bilinearly upsampled feature, −1 outside ``mask``.

    ``dot`` takes the largest x·c; ``l2`` takes the largest 2x·c − |c|², which is the smallest distance, because |x|² is
    the same for every centroid. The labels equal those of upsampling (C, h, w) first, up to rounding at ties.
    """
    maps = np.asarray(features, np.float32)
    scores = np.tensordot(centroids, maps, 1)
    if metric == "l2":
        scores = 2 * scores - np.square(centroids).sum(1)[:, None, None]
    labels: Labels = resize_bilinear(scores, *mask.shape).argmax(0).astype(np.int16)
    labels[~mask] = -1
    return labels


def normalize(features: npt.ArrayLike) -> Floats:
    """(C, h, w) -> float32 of unit length over C at every position; zero vectors stay zero."""
    return unit_length(features, axis=0)


def concat_maps(maps: Sequence[npt.ArrayLike]) -> Floats:
    """Maps (C_i, h_i, w_i) -> (sum of C_i, h_0, w_0) float32, resized bilinearly to the first map's resolution."""
    arrays = [np.asarray(m, np.float32) for m in maps]
    height, width = arrays[0].shape[1:]
    return np.concatenate([resize_bilinear(m, height, width) for m in arrays])


def _mean_features(maps: Floats, labels: Labels, centroids: Floats) -> Floats:
    """Means over image pixels without upsampling: the transposed interpolation downsamples the labels instead."""
    rows, columns = interpolation(labels.shape[0], maps.shape[1]), interpolation(labels.shape[1], maps.shape[2])
    member = (labels == np.arange(len(centroids))[:, None, None]).astype(np.float32)
    weight = np.matmul(np.matmul(rows.T, member), columns)
    area = member.sum((1, 2))[:, None]
    mean = np.tensordot(weight, maps, ((1, 2), (1, 2))) / np.maximum(area, 1)
    return np.where(area > 0, mean, centroids).astype(np.float32)
