"""What the JSON files of COCO instances and COCO panoptic share: their records, and the joining of blocks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from stages.exchange.choice import Category
from stages.exchange.formats import Source
from stages.exchange.images import ImageMasks

__all__ = ["category_records", "image_record", "join_blocks", "write_block"]

_IMAGES, _ANNOTATIONS = "images.txt", "annotations.txt"
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


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
    row, (height, width) = image.image, image.size
    record = {"id": int(row["image_id"]), "file_name": row["key"], "height": height, "width": width}
    return record | {name: row[name] for name in ("split", "wnid", "class_name")}


def write_block(folder: Path, images: Iterable[tuple[ImageMasks, Iterable[Mapping[str, Any]]]]) -> None:
    """Write the records of a block's images, one per line, and of their annotations, those of an image in one line."""
    with ExitStack() as stack:
        listed, drawn = (stack.enter_context((folder / name).open("wb")) for name in (_IMAGES, _ANNOTATIONS))
        for image, annotations in images:
            listed.write(f"{_line(image_record(image))},\n".encode())
            # A single call for all of an image takes half the time of one call for each.
            if text := _ENCODER.encode(list(annotations))[1:-1]:
                drawn.write(f"{text},\n".encode())


def join_blocks(source: Source, categories: Iterable[Mapping[str, Any]], blocks: Sequence[Path], out: Path) -> None:
    """Write the JSON file of all blocks. No more than a buffer of them is in memory."""
    info = {"description": f"{source.layer.table.name} of {source.layer.node}", **source.record}
    with out.open("wb") as file:
        file.write(f'{{\n"info": {_line(info)},\n"licenses": [],\n"categories": [\n'.encode())
        file.write((",\n".join(map(_line, categories)) + "\n]").encode())
        for name, key in ((_IMAGES, "images"), (_ANNOTATIONS, "annotations")):
            file.write(f',\n"{key}": [\n'.encode())
            start = file.tell()
            for folder in blocks:
                with (folder / name).open("rb") as part:
                    shutil.copyfileobj(part, file)
            if file.tell() > start:
                file.seek(-2, 1)  # the comma and the end of the last line
            file.write(b"\n]")
        file.write(b"\n}\n")


def _line(record: Mapping[str, Any]) -> str:
    return _ENCODER.encode(record)
