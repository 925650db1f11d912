"""COCO instances: one JSON file with the masks of a node, in original image pixels.

An id belongs to its row, whatever else is exported: the ``id`` of an image is its ``image_id``, that of an annotation
is ``image_id`` * 1,000,000 + the number of its row among those of the image + 1.
Format: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pdstore import masks
from pdstore.errors import UsageError
from stages.exchange.choice import Category
from stages.exchange.formats import Source
from stages.exchange.images import ImageMasks

__all__ = ["ROWS_PER_IMAGE", "CocoWriter", "category_records", "header", "image_record", "writer"]

ROWS_PER_IMAGE = 1_000_000
"""By how much ids of annotations rise from image to image. JSON's numbers are exact up to 2^53, so to image 9e9."""
_IMAGES, _ANNOTATIONS = "images.txt", "annotations.txt"
_COPIED = ("object_id", "cluster", "part_name", "object_ratio")
"""Columns of a row that an annotation repeats, if the table has them."""


def writer(source: Source) -> CocoWriter:
    return CocoWriter(source)


class CocoWriter:
    """Annotations are written as text, one per line, and joined when all blocks are there."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def block(self, images: Iterable[ImageMasks], folder: Path) -> None:
        with (folder / _IMAGES).open("wb") as listed, (folder / _ANNOTATIONS).open("wb") as drawn:
            for image in images:
                listed.write(f"{_line(image_record(image))},\n".encode())
                drawn.writelines(f"{_line(annotation)},\n".encode() for annotation in self._annotations(image))

    def finish(self, blocks: Sequence[Path], out: Path) -> None:
        with out.open("wb") as file:
            file.write(header(self._source).encode())
            for name, key in ((_IMAGES, "images"), (_ANNOTATIONS, "annotations")):
                file.write(f',\n"{key}": [\n'.encode())
                for folder in blocks:
                    with (folder / name).open("rb") as part:
                        shutil.copyfileobj(part, file)
                if file.tell() and any((folder / name).stat().st_size for folder in blocks):
                    file.seek(-2, 1)  # the comma after the last record
                file.write(b"\n]")
            file.write(b"\n}\n")

    def _annotations(self, image: ImageMasks) -> Iterator[dict[str, Any]]:
        height, width = image.size
        boxes, areas = masks.boxes(image.rle, height, width).tolist(), masks.area(image.rle, height, width).tolist()
        image_id, rows = int(image.image["image_id"]), image.rows
        if len(image) and image.numbers[-1] >= ROWS_PER_IMAGE:
            problem = f"the image has more than {ROWS_PER_IMAGE} masks"
            raise UsageError(problem, str(image.image["key"]), "Leave images with so many out: --where")
        copied = {name: rows[name].tolist() for name in _COPIED if name in rows.columns}
        fixed = {"node": self._source.layer.node, "layer": self._source.layer.fingerprint}
        scores = rows["score"].tolist()
        for n, counts in enumerate(image.rle):
            yield {
                "id": image_id * ROWS_PER_IMAGE + int(image.numbers[n]) + 1,
                "image_id": image_id,
                "category_id": int(image.categories[n]) + 1,
                "segmentation": {"size": [height, width], "counts": counts.decode()},
                "area": areas[n],
                "bbox": boxes[n],
                "iscrowd": 0,
                "score": round(scores[n], 6),
                **{name: values[n] for name, values in copied.items()},
                **fixed,
            }


def header(source: Source) -> str:
    """The beginning of a COCO file, without its closing brace: ``info``, ``licenses``, ``categories``."""
    info = {"description": f"{source.layer.table.name} of {source.layer.node}", **source.record}
    categories = ",\n".join(map(_line, category_records(source.categories)))
    return f'{{\n"info": {_line(info)},\n"licenses": [],\n"categories": [\n{categories}\n]'


def category_records(categories: Sequence[Category]) -> list[dict[str, Any]]:
    """COCO's categories, numbered from 1; the super-category is the object class."""
    return [
        {
            "id": number,
            "name": category.name,
            "supercategory": category.thing,
            "class_id": category.class_id,
            "wnid": category.wnid,
            **({"cluster": category.cluster} if category.cluster >= 0 else {}),
        }
        for number, category in enumerate(categories, 1)
    ]


def image_record(image: ImageMasks) -> dict[str, Any]:
    """COCO's record of an image; ``file_name`` is its path below the image folder."""
    row: Mapping[str, Any] = image.image
    height, width = image.size
    record = {"id": int(row["image_id"]), "file_name": row["key"], "height": height, "width": width}
    return record | {name: row[name] for name in ("split", "wnid", "class_name")}


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(", ", ": "), allow_nan=False)
