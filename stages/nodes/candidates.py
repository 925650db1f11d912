"""Candidates: the segments of each object that pass every bound before clustering, with their features.

Source: paper §3.3; reference ``part_ranking_model.py``. The rows of a block rise by object class, so that ``ranking``
reads those of its classes alone, and every candidate once, whatever the number of classes. No mask is decoded and no
network is run.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdstore import Rows, runs
from schemas.stages import CandidatesSettings
from schemas.tables import CANDIDATES
from stages.block import Block
from stages.kernels.naming.place import joined
from stages.segments import ObjectSegments, chosen_objects, object_parts, segment_rows, segments_by_image
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: CandidatesSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Objects of a class that is not in the vocabulary have no candidates."""

    def run(unit: Unit) -> Output:
        block = unit.own_block
        parts = object_parts(unit, block, settings.object_mask)
        by_image = segments_by_image(
            _objects(block, settings), segment_rows(block), parts, min_score=settings.min_score
        )
        found: list[Rows] = []
        for of_image in by_image.values():
            unit.check_stop()
            found += [_candidates(segments, settings) for segments in of_image()]
            unit.advance(1)
        # Sorting keeps the order of images, objects and segments within a class: k-means depends on it.
        return Output(Rows.concat(CANDIDATES, found).sorted("category_id"))

    return run


def _objects(block: Block, settings: CandidatesSettings) -> Rows:
    """The objects of classes of the vocabulary, in images of the split."""
    images = block.rows("images", ["image_id", "class_id", "split"])
    of_split = images["image_id"][(images["split"] == settings.split) | (not settings.split)]
    objects = chosen_objects(block.rows("objects"), images, settings.min_image_ratio)
    return objects.take((objects["category_id"] >= 0) & np.isin(objects["image_id"], of_split))


def _candidates(segments: ObjectSegments, settings: CandidatesSettings) -> Rows:
    on_object = segments.on_object(settings.min_inside)
    chosen = on_object.large(settings.min_object_ratio, one_per_pixel=settings.unique_pixels)
    areas = runs.areas_inside(chosen.masks, chosen.outline)
    columns = {
        "image_id": segments.image_id,
        "object_id": segments.object_id,
        "segment_id": chosen.numbers,
        "category_id": segments.category_id,
        "score": chosen.scores,
        "area": areas,
        "object_ratio": areas / max(segments.area, 1),
        "feature": joined(chosen.features, chosen.masks, chosen.outline) if settings.place else chosen.features,
    }
    return Rows.filled(CANDIDATES, len(areas), columns)
