"""Labels: each segment of an object gets its cluster, and segments of the same cluster are merged.

Source: paper §3.3; reference ``part_ranking_model.py``. Reads proposals and clusters; no network is run.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pdstore import Rows
from schemas.stages import CrfSettings, LabelsSettings
from schemas.tables import LABELS
from stages.kernels.crf import smooth
from stages.kernels.ranking import RankedParts, affinity, rank_parts
from stages.mask_columns import mask_columns
from stages.segments import ObjectSegments, chosen_objects, object_parts, object_segments, segment_rows
from stages.unit import LeftOut, Output, Setup, Unit

__all__ = ["start"]

Bools = npt.NDArray[np.bool_]


def start(settings: LabelsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """An object whose class has no clusters becomes a row of ``errors``; an image with no other is left out."""

    def run(unit: Unit) -> Output:
        centroids, block = _centroids(unit), unit.own_block
        objects = chosen_objects(block.rows("objects"), block.image_rows, settings.min_image_ratio)
        parts = object_parts(unit, block, settings.object_mask)
        labels: list[Rows] = []
        ranked: list[tuple[ObjectSegments, RankedParts]] = []
        lacking: list[tuple[int, int]] = []
        for segments in object_segments(objects, segment_rows(block), parts):
            if segments.category_id in centroids:
                ranked.append((segments, _rank(segments, centroids[segments.category_id], settings)))
            else:
                lacking.append((segments.image_id, segments.category_id))
        labelled = {segments.image_id for segments, _ in ranked}
        for image_id, category in lacking:
            of: LeftOut = "object" if image_id in labelled else "image"
            unit.reject(image_id, "no_clusters", f"class {category} has no clusters", of=of)
        smoothed = _smoothed(unit, ranked, settings.crf)
        for segments, found in ranked:
            stack = smoothed.get((segments.image_id, segments.object_id), found.masks)
            labels.append(_rows(segments, found, stack))
            unit.advance(settings.crf is None)
        return Output(Rows.concat(LABELS, labels))

    return run


def _centroids(unit: Unit) -> dict[int, npt.NDArray[np.float32]]:
    """Class -> (k, D) float32 centroids, in the order of the clusters."""
    layer = unit.layer("clusters")
    rows = Rows.concat(layer.table, layer.scan(["category_id", "centroid"]))
    return {category: rows["centroid"][index] for category, index in rows.by("category_id").items()}


def _rank(segments: ObjectSegments, centroids: npt.NDArray[np.float32], settings: LabelsSettings) -> RankedParts:
    kept = segments.confident(settings.min_segment_score, settings.min_inside)
    # In a block without any segment the length of a feature is not known.
    features = kept.features if len(kept.scores) else np.zeros((0, centroids.shape[1]), np.float16)
    return rank_parts(
        kept.masks,
        kept.scores,
        affinity(features, centroids, settings.metric, settings.normalize),
        top=settings.top,
        min_score=settings.min_score,
        min_area_ratio=settings.min_object_ratio,
        object_mask=segments.mask if settings.use_object_mask else None,
        one_label_a_pixel=settings.unique_pixels,
    )


def _smoothed(
    unit: Unit, ranked: list[tuple[ObjectSegments, RankedParts]], settings: CrfSettings | None
) -> dict[tuple[int, int], Bools]:
    """(image_id, object_id) -> (M, H, W) bool masks after the CRF; empty without one."""
    if settings is None:
        return {}
    stacks: dict[int, list[tuple[int, Bools]]] = {}
    for segments, parts in ranked:
        if len(parts.masks):
            stacks.setdefault(segments.image_id, []).append((segments.object_id, parts.masks))
    return {
        (image_id, object_id): smooth(pixels, stack, **settings.model_dump())
        for image_id, pixels in unit.own_block.pictures(stacks)
        for object_id, stack in stacks[image_id]
    }


def _rows(segments: ObjectSegments, parts: RankedParts, stack: Bools) -> Rows:
    columns = mask_columns(stack)
    areas = columns["area"]
    columns |= {
        "image_id": segments.image_id,
        "object_id": segments.object_id,
        "label_id": np.arange(len(stack)),
        "category_id": segments.category_id,
        "cluster": parts.clusters,
        "score": parts.scores,
        "object_ratio": areas / max(int(segments.mask.sum()), 1),
    }
    return Rows.filled(LABELS, len(stack), columns).take(areas > 0)
