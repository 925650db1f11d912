"""Part ranking: cluster the proposals of an object class, then label each proposal with its cluster.

Source: paper §3.3; reference ``part_ranking_model.py``. P proposals, D feature size, k clusters. Masks are runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pdstore import runs
from pdstore.ragged import Ragged
from pdstore.runs import Runs
from stages.kernels.clustering.kmeans import Metric, TooFewPoints, closeness, kmeans, unit_length
from stages.kernels.silhouette import silhouettes

__all__ = ["Clusters", "RankedParts", "TooFewPoints", "affinity", "cluster", "rank_parts"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters of one object class.

    Attributes:
        centroids: (k, D) float32.
        counts: (k,) int64, number of points whose nearest centroid (by the chosen metric) this is.
        within: (k,) float32, mean Euclidean distance of those points to it; 0 for an empty cluster.
        silhouettes: (k,) float32, see :func:`~stages.kernels.silhouette.silhouettes`.
    """

    centroids: Floats
    counts: Ints
    within: Floats
    silhouettes: Floats


@dataclass(frozen=True, eq=False)
class RankedParts:
    """Labelled parts of one object, M ≤ k, in ascending order of cluster.

    Attributes:
        rle: M run-length strings, in the frame of the proposals.
        clusters: (M,) int64, each at most once.
        scores: (M,) float32, best affinity × confidence among the merged proposals.
        areas: (M,) int64 pixels.
        area_ratios: (M,) float32, area ÷ area of the object (or of the image, if there is no outline).
    """

    rle: Ragged
    clusters: Ints
    scores: Floats
    areas: Ints
    area_ratios: Floats


def cluster(
    features: npt.ArrayLike,
    k: int,
    metric: Metric = "dot",
    normalize: bool = False,
    seed: int = 0,
    *,
    n_init: int = 1,
    max_iter: int = 300,
) -> Clusters:
    """k-means over query features (P, D) of one object class.

    Args:
        metric: how members are counted here and chosen later (:func:`affinity`); the k-means itself is Euclidean.
        normalize: scale each feature to unit length first.

    Raises:
        TooFewPoints: if fewer than k features are distinct.
    """
    points = _prepared(features, normalize)
    centroids = kmeans(points, k, seed, n_init, max_iter)
    member = closeness(points, centroids, metric).argmax(1)
    counts = np.bincount(member, minlength=k)
    distance = np.linalg.norm(points - centroids[member], axis=1)
    within = np.bincount(member, distance, minlength=k) / np.maximum(counts, 1)
    spread = silhouettes(points, member, k, seed)
    return Clusters(centroids, counts.astype(np.int64), within.astype(np.float32), spread)


def affinity(
    features: npt.ArrayLike, centroids: npt.ArrayLike, metric: Metric = "dot", normalize: bool = False
) -> Floats:
    """(P, k) float32, each row sums to 1: softmax over x·c (``dot``) or −|x − c|² (``l2``)."""
    logits = closeness(_prepared(features, normalize), np.asarray(centroids, np.float32), metric)
    grown = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
    return np.asarray(grown / grown.sum(1, keepdims=True), np.float32)


def rank_parts(
    masks: Runs,
    scores: npt.ArrayLike,
    affinities: npt.ArrayLike,
    *,
    top: int = 200,
    min_score: float = 0.0,
    min_area_ratio: float = 0.0,
    outline: Runs | None = None,
    one_label_a_pixel: bool = True,
) -> RankedParts:
    """Label the proposals of one object with clusters and merge those with the same cluster.

    Pairs (proposal, cluster) are sorted by affinity × score, and the best ``top`` are kept. With ``one_label_a_pixel``
    each pixel belongs to its best pair alone, so the later pairs of a proposal get no pixels and are skipped.
    Cost: the runs of the proposals, and per pair those of what is left of the object; no mask is decoded.

    Args:
        masks: P masks; scores: (P,) confidence; affinities: (P, k) from :func:`affinity`.
        min_score: pairs must be above it; a lower pair first takes its pixels, so it does not hand them to others.
        min_area_ratio: merged parts must be above this share of the object.
        outline: one mask, the object; parts are cut to it.
    """
    frame = runs.full(masks.height, masks.width) if outline is None else outline
    table = np.asarray(affinities, np.float32) * np.asarray(scores, np.float32)[:, None]
    proposal, part = np.unravel_index(np.argsort(-table, axis=None, kind="stable")[:top], table.shape)
    if one_label_a_pixel:
        first = np.sort(np.unique(proposal, return_index=True)[1])
        proposal, part = proposal[first], part[first]
        inside = runs.one_per_pixel(masks, proposal, frame)
    else:
        inside = runs.intersect(masks, frame)
    value = table[proposal, part]
    counts = (value > min_score) & (runs.areas(inside)[proposal] > 0)
    best = np.zeros(table.shape[1], np.float32)
    np.maximum.at(best, part[counts], value[counts])
    merged = runs.unions(inside, proposal[counts], part[counts], table.shape[1])
    areas = runs.areas(merged)
    ratios = (areas / max(1, int(runs.areas(frame)[0]))).astype(np.float32)
    kept = np.flatnonzero((areas > 0) & (ratios > min_area_ratio))
    return RankedParts(runs.strings(merged.take(kept)), kept.astype(np.int64), best[kept], areas[kept], ratios[kept])


def _prepared(features: npt.ArrayLike, normalize: bool) -> Floats:
    points = np.asarray(features, np.float32)
    return unit_length(points) if normalize else points
