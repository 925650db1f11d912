"""Candidates of hand-made rows, and the plain way to find and to cluster them, which the stages must equal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pdstore import Identity, Layer, Rows
from schemas.stages import CandidatesSettings
from schemas.tables import CANDIDATES
from stages.block import Block
from stages.nodes import candidates
from stages.segments import ObjectSegments, chosen_objects, object_parts, segment_rows, segments_by_image
from stages.unit import Unit
from tests.stages import dense_ranking
from tests.stages.nodes.records import decoded


def object_segments(
    objects: Rows, segments: Rows, parts: Rows | None = None, *, min_score: float
) -> Iterator[ObjectSegments]:
    """The objects of all images, one after the other."""
    for of_image in segments_by_image(objects, segments, parts, min_score=min_score).values():
        yield from of_image()


def put_candidates(bench: Any, settings: CandidatesSettings, blocks: Iterable[int] = (0,), **roles: Layer) -> Layer:
    """Compute and commit the candidates of these blocks."""
    layer = bench.store.declare("candidates", Identity("candidates", 1, settings.identity()), CANDIDATES, "test")
    for block in blocks:
        layer.commit(block, candidates.start(settings, bench.setup())(bench.unit(block, **roles)).rows)
    return layer


def features_by_class(unit: Unit, blocks: Sequence[int], settings: CandidatesSettings) -> dict[int, np.ndarray]:
    """Class, rising -> (N, D) features: every block is read for all classes, and nothing is sorted."""
    found: dict[int, list[np.ndarray]] = {}
    for number in blocks:
        block = Block(unit, number)
        images = block.rows("images", ["image_id", "class_id", "split"])
        of_split = images["image_id"][(images["split"] == settings.split) | (not settings.split)]
        objects = chosen_objects(block.rows("objects"), images, settings.min_image_ratio)
        objects = objects.take(np.isin(objects["image_id"], of_split))
        parts = object_parts(unit, block, settings.object_mask)
        for segments in object_segments(objects, segment_rows(block), parts, min_score=settings.min_score):
            on_object = segments.on_object(settings.min_inside)
            kept = on_object.large(settings.min_object_ratio, one_per_pixel=settings.unique_pixels)
            if len(kept.scores) and segments.category_id >= 0:
                found.setdefault(segments.category_id, []).append(kept.features)
    return {category: np.concatenate(parts) for category, parts in sorted(found.items())}


def chosen_densely(
    scenes: Iterable[tuple[dict[str, Any], list[dict[str, Any]]]], **bounds: Any
) -> dict[int, list[np.ndarray]]:
    """Object class, rising -> the features of the segments that painted masks choose.

    Args:
        scenes: rows of objects, each with the rows of its segments. bounds: of :func:`dense_ranking.chosen`.
    """
    features: dict[int, list[np.ndarray]] = {}
    for row, own in scenes:
        scores = np.array([record["score"] for record in own], np.float32)
        index = dense_ranking.chosen(decoded(own), scores, decoded([row])[0], **bounds)
        features.setdefault(row["category_id"], []).extend(own[n]["feature"] for n in index)
    return {category: found for category, found in sorted(features.items()) if found}
