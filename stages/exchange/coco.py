"""COCO instances: one JSON file with the masks of a node, in original image pixels.

An id belongs to its row, whatever else is exported: the ``id`` of an image is its ``image_id``, that of an annotation
is ``image_id`` * 1,000,000 + the number of its row among those of the image + 1. With the option ``polygons``, masks
are polygons along the edges of pixels, whose holes are cut in along seams: ``pycocotools`` draws the same masks from
them.
Format: https://cocodataset.org/#format-data
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pdstore import masks
from pdstore.errors import UsageError
from stages.exchange.coco_text import category_records, join_blocks, write_block
from stages.exchange.formats import Source
from stages.exchange.images import ImageMasks
from stages.kernels.polygons import mask_polygons

__all__ = ["ROWS_PER_IMAGE", "CocoWriter", "writer"]

ROWS_PER_IMAGE = 1_000_000
"""By how much ids of annotations rise from image to image. JSON's numbers are exact up to 2^53, so to image 9e9."""
_COPIED = ("object_id", "cluster", "part_name", "object_ratio")
"""Columns of a row that an annotation repeats, if the table has them."""


def writer(source: Source) -> CocoWriter:
    return CocoWriter(source)


class CocoWriter:
    """Annotations are written as text, one per line, and joined when all blocks are there."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._is_polygons = bool(source.options.get("polygons"))

    def block(self, images: Iterable[ImageMasks], folder: Path) -> None:
        write_block(folder, ((image, self._annotations(image)) for image in images))

    def finish(self, blocks: Sequence[Path], out: Path) -> None:
        join_blocks(self._source, category_records(self._source.categories), blocks, out)

    def _annotations(self, image: ImageMasks) -> Iterator[Mapping[str, Any]]:
        if len(image) and image.numbers[-1] >= ROWS_PER_IMAGE:
            problem = f"the image has more than {ROWS_PER_IMAGE} masks"
            raise UsageError(problem, str(image.image["key"]), "Leave images with so many out: --where")
        boxes, areas = image.boxes.tolist(), image.areas.tolist()
        image_id, rows = int(image.image["image_id"]), image.rows
        copied = {name: rows[name].tolist() for name in _COPIED if name in rows.columns}
        numbers, categories, scores = image.numbers.tolist(), image.categories.tolist(), rows["score"].tolist()
        for n, counts in enumerate(image.rle):
            yield {
                "id": image_id * ROWS_PER_IMAGE + numbers[n] + 1,
                "image_id": image_id,
                "category_id": categories[n] + 1,
                "segmentation": self._segmentation(counts, image.size),
                "area": areas[n],
                "bbox": boxes[n],
                "iscrowd": 0,
                "score": round(scores[n], 6),
                **{name: values[n] for name, values in copied.items()},
                "node": self._source.layer.node,
                "layer": self._source.layer.fingerprint,
            }

    def _segmentation(self, counts: bytes, size: tuple[int, int]) -> Any:
        if self._is_polygons:
            return mask_polygons(masks.decode_one(counts, *size))
        return {"size": list(size), "counts": counts.decode()}
