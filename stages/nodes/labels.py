"""Labels: each segment of an object gets its cluster, and segments of the same cluster are merged.

Source: paper §3.3; reference ``part_ranking_model.py``. Reads proposals and clusters; no network is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Layer, Rows, masks
from schemas.stages import CrfSettings, LabelsSettings
from schemas.tables import LABELS
from stages.fitting import or_rejected
from stages.kernels.crf import smooth
from stages.kernels.naming.place import places
from stages.kernels.naming.scorer import SCORERS, Scorer, unpack
from stages.kernels.ranking import RankedParts, affinity, rank_parts
from stages.mask_columns import mask_columns
from stages.segments import ObjectSegments, chosen_objects, object_parts, segment_rows, segments_by_image, with_parts
from stages.source.frames import image_frames
from stages.unit import LeftOut, Output, Setup, Unit

__all__ = ["start"]

Pixels = npt.NDArray[np.uint8]
Centroids = npt.NDArray[np.float32]
Clusters = Centroids | Scorer
"""What a segment's cluster is chosen by: centroids (k, D) or, of candidates with places, a scorer."""


def start(settings: LabelsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """An object whose class has no clusters becomes a row of ``errors``; an image with no other is left out."""

    @lru_cache(1)
    def clusters_of(layer: Layer, attempts: tuple[tuple[int, str], ...]) -> dict[int, Clusters]:
        # Read once for all blocks of this process. What was committed is named, because it can be withdrawn.
        return _clusters(layer, [bucket for bucket, _ in attempts])

    def run(unit: Unit) -> Output:
        layer, block = unit.layer("clusters"), unit.own_block
        manifests = layer.manifests(unit.blocks("clusters"))
        clusters = clusters_of(layer, tuple((bucket, m.attempt) for bucket, m in manifests.items()))
        objects = chosen_objects(block.rows("objects"), block.image_rows, settings.min_image_ratio)
        parts = object_parts(unit, block, settings.object_mask)
        objects = objects if parts is None else with_parts(objects, parts)
        known = np.isin(objects["category_id"], list(clusters))
        labelled = set(objects["image_id"][known].tolist())
        for image_id, category in zip(*(objects[n][~known].tolist() for n in ("image_id", "category_id")), strict=True):
            of: LeftOut = "object" if image_id in labelled else "image"
            unit.reject(image_id, "no_clusters", f"class {category} has no clusters", of=of)
        segments = segment_rows(block)
        by_image = segments_by_image(objects.take(known), segments, parts, min_score=settings.min_segment_score)
        labels: list[Rows] = []
        for image_id, pixels in _pictures(unit, by_image, segments, settings.crf):
            with or_rejected(unit, image_id):
                labels += [
                    _labels(of_object, clusters[of_object.category_id], pixels, settings)
                    for of_object in by_image[image_id]()
                ]
        return Output(Rows.concat(LABELS, labels))

    return run


def _pictures(
    unit: Unit, image_ids: Iterable[int], segments: Rows, settings: CrfSettings | None
) -> Iterator[tuple[int, Pixels | None]]:
    """(image_id, its picture in the frame of its segments, if it is needed) of the images that have segments."""
    frames = image_frames(segments)
    wanted = [image_id for image_id in image_ids if image_id in frames]
    if settings is not None:
        yield from unit.own_block.pictures(wanted, frames)
        return
    for image_id in wanted:
        unit.check_stop()
        yield image_id, None
        unit.advance(1)


def _labels(segments: ObjectSegments, clusters: Clusters, pixels: Pixels | None, settings: LabelsSettings) -> Rows:
    parts, frame = _rank(segments, clusters, settings), (segments.outline.height, segments.outline.width)
    if pixels is not None and settings.crf is not None and len(parts.rle):
        # The CRF alone needs pixels.
        columns = mask_columns(smooth(pixels, masks.decode(parts.rle, *frame), **settings.crf.model_dump()))
    else:
        columns = {"area": parts.areas, "height": frame[0], "width": frame[1], "rle": parts.rle}
    return _rows(segments, parts, columns)


def _clusters(layer: Layer, buckets: Sequence[int]) -> dict[int, Clusters]:
    """Class -> its scorer or, if the unit has none, (k, D) float32 centroids, in the order of the clusters."""
    with_scorers = [bucket for bucket in buckets if SCORERS in layer.manifest(bucket).files]
    if with_scorers:
        return {c: scorer for bucket in with_scorers for c, scorer in unpack(layer.file(bucket, SCORERS)).items()}
    rows = Rows.concat(layer.table, layer.scan(["category_id", "centroid"], buckets))
    return {category: rows["centroid"][index] for category, index in rows.by("category_id").items()}


def _rank(segments: ObjectSegments, clusters: Clusters, settings: LabelsSettings) -> RankedParts:
    kept = segments.on_object(settings.min_inside)
    # In a block without any segment the length of a feature is not known.
    size = clusters.num_features if isinstance(clusters, Scorer) else clusters.shape[1]
    features = kept.features if len(kept.scores) else np.zeros((0, size), np.float16)
    if isinstance(clusters, Scorer):
        affinities = clusters.affinities(features, places(kept.masks, segments.outline))
    else:
        affinities = affinity(features, clusters, settings.metric, settings.normalize)
    return rank_parts(
        kept.masks,
        kept.scores,
        affinities,
        top=settings.top,
        min_score=settings.min_score,
        min_area_ratio=settings.min_object_ratio,
        outline=segments.outline if settings.use_object_mask else None,
        one_label_a_pixel=settings.unique_pixels,
    )


def _rows(segments: ObjectSegments, parts: RankedParts, columns: dict[str, Any]) -> Rows:
    areas = columns["area"]
    columns = columns | {
        "image_id": segments.image_id,
        "object_id": segments.object_id,
        "label_id": np.arange(len(areas)),
        "category_id": segments.category_id,
        "cluster": parts.clusters,
        "score": parts.scores,
        "object_ratio": areas / max(segments.area, 1),
    }
    return Rows.filled(LABELS, len(areas), columns).take(areas > 0)
