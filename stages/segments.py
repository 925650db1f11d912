"""The segments (proposals or parts) of an object, which ``ranking`` clusters and ``labels`` labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pdstore import Rows, masks
from pdstore.errors import UsageError
from schemas.stages import ObjectMask
from stages.block import Block
from stages.kernels.ranking import unique_pixels
from stages.unit import Unit

__all__ = ["ObjectSegments", "chosen_objects", "object_parts", "object_segments", "segment_rows"]


@dataclass(frozen=True, eq=False)
class ObjectSegments:
    """One object and the segments on it. All masks are in original image pixels.

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
    return block.rows("parts", ["image_id", "object_id", "rle"])


def segment_rows(block: Block) -> Rows:
    """A block's rows of input ``segments``, with the columns that :func:`object_segments` reads."""
    names = block.table("segments").names
    return block.rows("segments", [n for n in ("image_id", "object_id", "score", "rle", "feature") if n in names])


def object_segments(objects: Rows, segments: Rows, parts: Rows | None = None) -> Iterator[ObjectSegments]:
    """Each object with the segments of its image, by rising image_id, without parts of the image's other objects.

    Args:
        parts: if they are given, the mask of an object is the union of its parts, and an object without any is left
            out (reference ``imagenet_part_ranking_dataset_mapper.py``).
    """
    by_image = segments.by("image_id")
    by_object = None if parts is None else _by_object(parts)
    for row in np.argsort(objects["image_id"], kind="stable"):
        image_id, height, width = (int(objects[name][row]) for name in ("image_id", "height", "width"))
        object_id, rle = int(objects["object_id"][row]), objects.ragged("rle")[int(row)]
        if by_object is not None:
            rle = masks.union(by_object.get((image_id, object_id), ()), height, width)
        mask = masks.decode_one(rle, height, width)
        if by_object is not None and not mask.any():
            continue
        candidates = segments.take(by_image.get(image_id, np.zeros(0, np.int64)))
        if "object_id" in candidates.columns:
            candidates = candidates.take(candidates["object_id"] == object_id)
        yield ObjectSegments(
            image_id,
            object_id,
            int(objects["category_id"][row]),
            mask,
            masks.decode(candidates.ragged("rle"), height, width),
            candidates["score"].astype(np.float32),
            candidates["feature"].astype(np.float16),
        )


def _by_object(parts: Rows) -> dict[tuple[int, int], list[bytes]]:
    """(image_id, object_id) -> the run lengths of the object's parts."""
    stacks: dict[tuple[int, int], list[bytes]] = {}
    ids = zip(parts["image_id"].tolist(), parts["object_id"].tolist(), strict=True)
    for key, rle in zip(ids, parts.ragged("rle"), strict=True):
        stacks.setdefault(key, []).append(rle)
    return stacks
