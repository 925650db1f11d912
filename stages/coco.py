"""COCO JSON with part categories, as PartImageNet publishes it: masks by image key.

A category is a part: its ``name`` reads ``<Object> <part>`` and its ``supercategory`` names the object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycocotools import mask as coco

from pdstore.errors import CorruptData

__all__ = ["Annotation", "read_coco"]


@dataclass(frozen=True)
class Annotation:
    """One part mask of an image: (height, width) pixels, COCO compressed run lengths."""

    object_name: str
    part_name: str
    height: int
    width: int
    counts: bytes


def read_coco(path: Path) -> dict[str, list[Annotation]]:
    """Image key -> its annotations, in listed order.

    Raises:
        CorruptData: the file is not such JSON, or an annotation does not fit its image; it says which.
    """
    try:
        content = json.loads(path.read_bytes())
        images = {image["id"]: image for image in content["images"]}
        categories = {c["id"]: _names(c) for c in content["categories"]}
        found: dict[str, list[Annotation]] = {image["file_name"]: [] for image in images.values()}
        annotations = list(content["annotations"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        expected = "COCO JSON with images, categories and annotations"
        raise CorruptData(expected, f"{type(error).__name__}: {error}", str(path), "Mend the file") from None
    for number, annotation in enumerate(annotations):
        try:
            image = images[annotation["image_id"]]
            names = categories[annotation["category_id"]]
            height, width = int(image["height"]), int(image["width"])
            counts = _counts(annotation["segmentation"], height, width)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            found_text = f"{type(error).__name__}: {error}"
            name = annotation.get("id", number) if isinstance(annotation, dict) else number
            where = f"{path}, annotation {name}"
            raise CorruptData("an annotation of a listed image", found_text, where, "Mend the file") from None
        found[image["file_name"]].append(Annotation(*names, height, width, counts))
    return found


def _names(category: Mapping[str, Any]) -> tuple[str, str]:
    owner = str(category.get("supercategory") or category["name"].split(" ")[0])
    part = str(category["name"])
    if part.lower().startswith(owner.lower() + " "):
        part = part[len(owner) + 1 :]
    return owner.lower(), part.lower()


def _counts(segmentation: Any, height: int, width: int) -> bytes:
    """Polygons, uncompressed or compressed run lengths -> compressed run lengths."""
    if isinstance(segmentation, list):
        return bytes(coco.merge(coco.frPyObjects(segmentation, height, width))["counts"])
    if list(segmentation["size"]) != [height, width]:
        raise ValueError(f"mask of size {segmentation['size']} in an image of {[height, width]}")
    counts = segmentation["counts"]
    if isinstance(counts, list):
        counts = coco.frPyObjects(segmentation, height, width)["counts"]
    encoded = counts.encode() if isinstance(counts, str) else bytes(counts)
    if _pixels(encoded) != height * width:
        # pycocotools would fill what is missing with whatever is in memory.
        raise ValueError(f"run lengths of {_pixels(encoded)} pixels in an image of {[height, width]}")
    return encoded


def _pixels(counts: bytes) -> int:
    """Sum of compressed run lengths: groups of 5 bits, each run from the third on relative to the one before last."""
    runs: list[int] = []
    value = shift = 0
    for byte in counts:
        value |= (byte - 48 & 31) << shift
        shift += 5
        if not byte - 48 & 32:
            value -= (byte - 48 & 16) << shift - 4
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return sum(runs)
