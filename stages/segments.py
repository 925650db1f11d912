"""The segments (proposals or parts) of an object: what ranking clusters and labels labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pdstore import Rows, masks
from stages.block import Block
from stages.kernels.ranking import unique_pixels

__all__ = ["ObjectSegments", "chosen_objects", "object_segments", "segment_rows"]


@dataclass(frozen=True, eq=False)
class ObjectSegments:
    """One object and the segments on it.

    Attributes:
        mask: (H, W) bool. masks: (P, H, W) bool, whole segments. inside: (P, H, W) bool, cut to the object.
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
        """Those above a score, of which at least a share lies on the object."""
        shares = self.inside.sum((1, 2)) / np.maximum(self.masks.sum((1, 2)), 1)
        return self.take((self.scores > min_score) & (shares >= min_inside) & (shares > 0))

    def large(self, min_object_ratio: float, *, one_a_pixel: bool) -> ObjectSegments:
        """Those that keep a share of the object, counted after each pixel went to its best segment if asked for."""
        claimed = unique_pixels(self.inside, self.scores) if one_a_pixel else self.inside
        ratio = claimed.sum((1, 2)) / max(int(self.mask.sum()), 1)
        return self.take(ratio > min_object_ratio)


def chosen_objects(objects: Rows, images: Rows) -> Rows:
    """The best object of each image; of an image that has no class, as in Pascal Part, also all others that have one.

    Args:
        images: with ``image_id`` and ``class_id``.
    """
    classless = images["image_id"][images["class_id"] < 0]
    is_other = np.isin(objects["image_id"], classless) & (objects["category_id"] >= 0)
    return objects.take((objects["object_id"] == 0) | is_other)


def segment_rows(block: Block) -> Rows:
    """The rows of input ``segments`` of a block, with the columns that :func:`object_segments` reads."""
    names = block.table("segments").names
    return block.rows("segments", [n for n in ("image_id", "object_id", "score", "rle", "feature") if n in names])


def object_segments(objects: Rows, segments: Rows) -> Iterator[ObjectSegments]:
    """For each object the segments of its image, by rising image; parts of another object of the image are left out."""
    by_image = segments.by("image_id")
    for row in np.argsort(objects["image_id"], kind="stable"):
        image_id, height, width = (int(objects[name][row]) for name in ("image_id", "height", "width"))
        own = segments.take(by_image.get(image_id, np.zeros(0, np.int64)))
        if "object_id" in own.columns:
            own = own.take(own["object_id"] == objects["object_id"][row])
        yield ObjectSegments(
            image_id,
            int(objects["object_id"][row]),
            int(objects["category_id"][row]),
            masks.decode_one(objects.ragged("rle")[int(row)], height, width),
            masks.decode(own.ragged("rle"), height, width),
            own["score"].astype(np.float32),
            own["feature"].astype(np.float16),
        )
