"""Ranking's choice of segments and its labels, on pixels: the plain NumPy formulation that runs must equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DenseParts", "chosen", "rank_parts", "unique_pixels"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DenseParts:
    """(M, H, W) bool masks of the merged parts, with their clusters, scores, areas and ratios."""

    masks: Bools
    clusters: npt.NDArray[np.int64]
    scores: Floats
    areas: npt.NDArray[np.int64]
    area_ratios: Floats


def unique_pixels(masks: Bools, scores: npt.ArrayLike) -> Bools:
    """(P, H, W) bool, disjoint: each pixel stays with the best-scored mask that covers it, the first of equal ones."""
    best = np.full(masks.shape[1:], -np.inf, np.float32)
    owner = np.full(masks.shape[1:], -1, np.int32)
    for index, (mask, score) in enumerate(zip(masks, np.asarray(scores, np.float32), strict=True)):
        wins = mask & (score > best)
        best[wins], owner[wins] = score, index
    unique: Bools = owner == np.arange(len(masks))[:, None, None]
    return unique


def on_object(masks: Bools, scores: Floats, outline: Bools, min_score: float, min_inside: float) -> Bools:
    """(P,) bool: the segments that score above ``min_score`` and have enough of their pixels on the object."""
    inside = masks & outline
    shares = inside.sum((1, 2)) / np.maximum(masks.sum((1, 2)), 1)
    return np.asarray((scores > min_score) & (shares >= min_inside) & (shares > 0), bool)


def chosen(
    masks: Bools,
    scores: Floats,
    outline: Bools,
    *,
    min_score: float,
    min_inside: float,
    min_object_ratio: float,
    one_per_pixel: bool,
) -> npt.NDArray[np.int64]:
    """Numbers of the segments of an object that are clustered."""
    kept = np.flatnonzero(on_object(masks, scores, outline, min_score, min_inside))
    inside = masks[kept] & outline
    claimed = unique_pixels(inside, scores[kept]) if one_per_pixel else inside
    is_large = claimed.sum((1, 2)) / max(int(outline.sum()), 1) > min_object_ratio
    return np.asarray(kept[is_large], np.int64)


def rank_parts(
    masks: Bools,
    scores: npt.ArrayLike,
    affinities: npt.ArrayLike,
    *,
    top: int = 200,
    min_score: float = 0.0,
    min_area_ratio: float = 0.0,
    outline: Bools | None = None,
    one_label_a_pixel: bool = True,
) -> DenseParts:
    """As :func:`stages.kernels.ranking.rank_parts`, pair by pair."""
    frame = np.ones(masks.shape[1:], bool) if outline is None else outline
    table = np.asarray(affinities, np.float32) * np.asarray(scores, np.float32)[:, None]
    pairs = np.argsort(-table, axis=None, kind="stable")[:top]
    free, was_seen = frame.copy(), np.zeros(len(masks), bool)
    merged = np.zeros((table.shape[1], *masks.shape[1:]), bool)
    best = np.zeros(table.shape[1], np.float32)
    for proposal, part in zip(*np.unravel_index(pairs, table.shape), strict=True):
        if one_label_a_pixel and was_seen[proposal]:
            continue
        was_seen[proposal] = True
        mask = masks[proposal] & free
        if one_label_a_pixel:
            free &= ~mask
        if table[proposal, part] > min_score and mask.any():
            merged[part] |= mask
            best[part] = max(best[part], table[proposal, part])
    areas = merged.sum((1, 2), dtype=np.int64)
    ratios = (areas / max(1, np.count_nonzero(frame))).astype(np.float32)
    kept = np.flatnonzero((areas > 0) & (ratios > min_area_ratio))
    return DenseParts(merged[kept], kept.astype(np.int64), best[kept], areas[kept], ratios[kept])
