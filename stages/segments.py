"""The segments (proposals or parts) of an object, from which ``candidates`` chooses and which ``labels`` labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from pdstore import Rows, runs
from pdstore.errors import UsageError
from pdstore.runs import Runs
from schemas.stages import ObjectMask
from stages.block import Block
from stages.source.frames import Size, image_frames, masks_at
from stages.unit import Unit

__all__ = [
    "ObjectSegments",
    "chosen_objects",
    "object_parts",
    "segment_rows",
    "segments_by_image",
    "with_parts",
]

_NUMBERS = ("proposal_id", "part_id")
_COLUMNS = ("image_id", "object_id", *_NUMBERS, "score", "height", "width", "rle", "feature")


@dataclass(frozen=True, eq=False)
class ObjectSegments:
    """One object and the segments on it, as runs: no mask is decoded. All are in the frame of the image's segments.

    Attributes:
        outline: one mask, the object.
        masks: P masks, whole segments.
        scores: (P,) float32. features: (P, D) float16.
        numbers: (P,) int32, ``proposal_id`` or ``part_id``.
    """

    image_id: int
    object_id: int
    category_id: int
    outline: Runs
    masks: Runs
    scores: npt.NDArray[np.float32]
    features: npt.NDArray[np.float16]
    numbers: npt.NDArray[np.int32]

    @property
    def area(self) -> int:
        """Pixels of the object."""
        return int(runs.areas(self.outline)[0])

    def take(self, index: npt.ArrayLike) -> ObjectSegments:
        picked = np.arange(len(self.scores))[np.asarray(index)]
        kept = self.masks.take(picked), self.scores[picked], self.features[picked], self.numbers[picked]
        return ObjectSegments(self.image_id, self.object_id, self.category_id, self.outline, *kept)

    def on_object(self, min_inside: float) -> ObjectSegments:
        """The segments of which at least a share ``min_inside``, and at least one pixel, lies on the object."""
        shares = runs.shares_inside(self.masks, self.outline)
        return self.take((shares >= min_inside) & (shares > 0))

    def large(self, min_object_ratio: float, *, one_per_pixel: bool) -> ObjectSegments:
        """The segments that cover more than a share of the object.

        With ``one_per_pixel`` each pixel counts for its best segment alone, the first of those that score equally.
        """
        if one_per_pixel:
            order = np.argsort(-self.scores, kind="stable")
            covered = runs.areas(runs.one_per_pixel(self.masks, order, self.outline))
        else:
            covered = runs.areas_inside(self.masks, self.outline)
        return self.take(covered / max(self.area, 1) > min_object_ratio)


def chosen_objects(objects: Rows, images: Rows, min_image_ratio: float = 0.0) -> Rows:
    """The best object of each image; in an image without a class (as in Pascal Part), also every object with a class.

    Args:
        images: rows with ``image_id`` and ``class_id``.
        min_image_ratio: objects that cover no more than this share of their image are left out.
    """
    classless = images["image_id"][images["class_id"] < 0]
    is_other = np.isin(objects["image_id"], classless) & (objects["category_id"] >= 0)
    is_large = objects["area"] > min_image_ratio * objects["height"] * objects["width"]
    return objects.take(((objects["object_id"] == 0) | is_other) & is_large)


def object_parts(unit: Unit, block: Block, object_mask: ObjectMask) -> Rows | None:
    """A block's rows of input ``parts``, if an object's mask is its parts; None if it is the detector's.

    Raises:
        UsageError: the node has no such input.
    """
    if object_mask == "detector":
        return None
    if "parts" not in unit.layers:
        fix = "Add 'inputs: {parts: NODE}' to it, such as crf, or set object_mask=detector"
        raise UsageError("object_mask=parts needs an input 'parts', but there is none", unit.node, fix)
    return block.rows("parts", ["image_id", "object_id", "area", "height", "width", "rle"])


def segment_rows(block: Block) -> Rows:
    """A block's rows of input ``segments``, with the columns that :func:`segments_by_image` reads."""
    names = block.table("segments").names
    return block.rows("segments", [name for name in _COLUMNS if name in names])


def segments_by_image(
    objects: Rows, segments: Rows, parts: Rows | None = None, *, min_score: float
) -> dict[int, Callable[[], Iterator[ObjectSegments]]]:
    """image_id, rising -> the image's objects with its segments, without parts of the image's other objects.

    Runs are read when it is their object's turn.

    Args:
        parts: if they are given, the mask of an object is the union of its parts, and an object without any is left
            out (reference ``imagenet_part_ranking_dataset_mapper.py``).
        min_score: segments must score above it; of the others nothing but the score is read.
    """
    objects = objects if parts is None else with_parts(objects, parts)
    of_image, frames = segments.by("image_id"), image_frames(objects) | image_frames(segments)
    number = next(name for name in _NUMBERS if name in segments.columns)
    outline_of = _outlines(objects, parts)
    is_confident = segments["score"].astype(np.float32) > min_score

    def read(image_id: int, rows: npt.NDArray[np.int64]) -> Iterator[ObjectSegments]:
        own, frame = of_image.get(image_id, np.zeros(0, np.int64)), frames[image_id]
        candidates = segments.take(own[is_confident[own]])
        for row in rows.tolist():
            object_id, picked = int(objects["object_id"][row]), candidates
            if "object_id" in candidates.columns:
                picked = candidates.take(candidates["object_id"] == object_id)
            yield ObjectSegments(
                image_id,
                object_id,
                int(objects["category_id"][row]),
                outline_of(row, frame),
                runs.read(masks_at(picked, frame), *frame),
                picked["score"].astype(np.float32),
                picked["feature"].astype(np.float16),
                picked[number],
            )

    return {image_id: partial(read, image_id, rows) for image_id, rows in objects.by("image_id").items()}


def with_parts(objects: Rows, parts: Rows) -> Rows:
    """The objects that have a pixel of a part."""
    parts = parts.take(parts["area"] > 0)
    known = set(zip(parts["image_id"].tolist(), parts["object_id"].tolist(), strict=True))
    keys = zip(objects["image_id"].tolist(), objects["object_id"].tolist(), strict=True)
    return objects.take(np.array([key in known for key in keys], bool))


def _outlines(objects: Rows, parts: Rows | None) -> Callable[[int, Size], Runs]:
    """A function (row of ``objects``, frame) -> one mask, the object's."""
    if parts is None:
        return lambda row, frame: runs.read(masks_at(objects.take([row]), frame), *frame)
    by_object: dict[tuple[int, int], list[int]] = {}
    for number, key in enumerate(zip(parts["image_id"].tolist(), parts["object_id"].tolist(), strict=True)):
        by_object.setdefault(key, []).append(number)

    def outline(row: int, frame: Size) -> Runs:
        own = by_object[int(objects["image_id"][row]), int(objects["object_id"][row])]
        of_parts = runs.read(masks_at(parts.take(own), frame), *frame)
        return runs.unions(of_parts, np.arange(len(own)), np.zeros(len(own), np.int64), 1)

    return outline
