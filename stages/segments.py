"""The segments (proposals or parts) of an object, which ``ranking`` clusters and ``labels`` labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from pdstore import Rows, masks
from pdstore.errors import UsageError
from schemas.stages import ObjectMask
from stages.block import Block
from stages.kernels.ranking import unique_pixels
from stages.source.frames import Size, image_frames, mask_frames, masks_at
from stages.unit import Unit

__all__ = [
    "ObjectSegments",
    "chosen_objects",
    "object_parts",
    "object_segments",
    "segment_rows",
    "segments_by_image",
    "with_parts",
]

_COLUMNS = ("image_id", "object_id", "score", "height", "width", "rle", "feature")


@dataclass(frozen=True, eq=False)
class ObjectSegments:
    """One object and the segments on it. All masks are in the frame of the image's segments.

    Attributes:
        mask: (H, W) bool, the object.
        masks: (P, H, W) bool, whole segments. inside: (P, H, W) bool, the segments cut to the object.
        scores: (P,) float32. features: (P, D) float16.
    """

    image_id: int
    object_id: int
    category_id: int
    mask: npt.NDArray[np.bool_]
    masks: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float32]
    features: npt.NDArray[np.float16]

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        return self.masks & self.mask

    def take(self, index: npt.ArrayLike) -> ObjectSegments:
        picked = np.arange(len(self.scores))[np.asarray(index)]
        kept = self.masks[picked], self.scores[picked], self.features[picked]
        return ObjectSegments(self.image_id, self.object_id, self.category_id, self.mask, *kept)

    def confident(self, min_score: float, min_inside: float) -> ObjectSegments:
        """The segments that score above ``min_score`` and lie on the object with at least a share ``min_inside``."""
        shares = self.inside.sum((1, 2)) / np.maximum(self.masks.sum((1, 2)), 1)
        return self.take((self.scores > min_score) & (shares >= min_inside) & (shares > 0))

    def large(self, min_object_ratio: float, *, one_per_pixel: bool) -> ObjectSegments:
        """The segments that cover more than a share of the object.

        With ``one_per_pixel`` each pixel counts for its best segment alone.
        """
        claimed = unique_pixels(self.inside, self.scores) if one_per_pixel else self.inside
        ratio = claimed.sum((1, 2)) / max(int(self.mask.sum()), 1)
        return self.take(ratio > min_object_ratio)


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
    """A block's rows of input ``segments``, with the columns that :func:`object_segments` reads."""
    names = block.table("segments").names
    return block.rows("segments", [name for name in _COLUMNS if name in names])


def object_segments(objects: Rows, segments: Rows, parts: Rows | None = None) -> Iterator[ObjectSegments]:
    """Each object with the segments of its image, by rising image_id, without parts of the image's other objects.

    Args:
        parts: see :func:`segments_by_image`.
    """
    for of_image in segments_by_image(objects, segments, parts).values():
        yield from of_image()


def segments_by_image(
    objects: Rows, segments: Rows, parts: Rows | None = None
) -> dict[int, Callable[[], Iterator[ObjectSegments]]]:
    """image_id, rising -> the image's objects with their segments. A mask is decoded when it is its object's turn.

    Args:
        parts: if they are given, the mask of an object is the union of its parts, and an object without any is left
            out (reference ``imagenet_part_ranking_dataset_mapper.py``).
    """
    objects = objects if parts is None else with_parts(objects, parts)
    of_image, frames = segments.by("image_id"), image_frames(objects) | image_frames(segments)
    mask_of = _outlines(objects, parts)

    def read(image_id: int, rows: npt.NDArray[np.int64]) -> Iterator[ObjectSegments]:
        nothing = np.zeros(0, np.int64)
        for row in rows.tolist():
            candidates = segments.take(of_image.get(image_id, nothing))
            if "object_id" in candidates.columns:
                candidates = candidates.take(candidates["object_id"] == objects["object_id"][row])
            yield ObjectSegments(
                image_id,
                int(objects["object_id"][row]),
                int(objects["category_id"][row]),
                mask_of(row, frames[image_id]),
                masks.decode_to(candidates.ragged("rle"), mask_frames(candidates), *frames[image_id]),
                candidates["score"].astype(np.float32),
                candidates["feature"].astype(np.float16),
            )

    return {image_id: partial(read, image_id, rows) for image_id, rows in objects.by("image_id").items()}


def with_parts(objects: Rows, parts: Rows) -> Rows:
    """The objects that have a pixel of a part."""
    parts = parts.take(parts["area"] > 0)
    known = set(zip(parts["image_id"].tolist(), parts["object_id"].tolist(), strict=True))
    keys = zip(objects["image_id"].tolist(), objects["object_id"].tolist(), strict=True)
    return objects.take(np.array([key in known for key in keys], bool))


def _outlines(objects: Rows, parts: Rows | None) -> Callable[[int, Size], npt.NDArray[np.bool_]]:
    """A function (row of ``objects``, frame) -> (H, W) bool, the object's mask."""
    if parts is None:
        return lambda row, frame: masks.decode(masks_at(objects.take([row]), frame), *frame)[0]
    by_object: dict[tuple[int, int], list[int]] = {}
    for number, key in enumerate(zip(parts["image_id"].tolist(), parts["object_id"].tolist(), strict=True)):
        by_object.setdefault(key, []).append(number)

    def outline(row: int, frame: Size) -> npt.NDArray[np.bool_]:
        own = by_object[int(objects["image_id"][row]), int(objects["object_id"][row])]
        return masks.decode_one(masks.union(masks_at(parts.take(own), frame), *frame), *frame)

    return outline
