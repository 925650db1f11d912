"""COCO JSON with part categories; images are identified by their file names.

A category is a part: its ``name`` reads ``<Object> <part>``, and its ``supercategory``, if it has one, names the
object. The mask of an object is the union of the masks of its parts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from pdstore import masks
from pdstore.errors import CorruptData
from pdstore.runlength import check_run_lengths, compress
from stages.datasets.truth import MALFORMED, Stray, TrueObject, TruePart, Truth
from stages.source.images import ImageFault

__all__ = ["CocoReader", "encode_segmentation", "read_content", "split_name"]


@dataclass(frozen=True)
class _Annotation:
    where: str
    category: tuple[str, str] | None
    segmentation: Any


@dataclass
class _Image:
    """An image of the file, with its annotations as they are in the file."""

    height: int
    width: int
    annotations: list[_Annotation] = field(default_factory=list)


class CocoReader:
    """Makes the masks of one image at a time, so that a malformed annotation affects its own image only.

    Args:
        paths: JSON files; if several list the same image, their annotations add up.
        name: image key -> the ``file_name`` of the image in the files.
        is_own_class: every object is of its image's class, whatever the name of that class.

    Raises:
        CorruptData: if a file is not COCO JSON; the error names the file.
    """

    def __init__(self, paths: Iterable[Path], name: Callable[[str], str] = str, is_own_class: bool = False) -> None:
        self.strays: list[Stray] = []
        self._name, self._is_own_class = name, is_own_class
        self._images: dict[str, _Image] = {}
        for path in paths:
            self._add(path)

    def read(self, key: str, load: Callable[[str], bytes]) -> Truth | None:
        """Objects sorted by name, the parts of each as listed. Raises ImageFault if an annotation is malformed."""
        image = self._images.get(self._name(key))
        if image is None:
            return None
        parts: dict[str, list[TruePart]] = {}
        for annotation in image.annotations:
            thing, part = _part(annotation, image.height, image.width)
            parts.setdefault(thing, []).append(part)
        objects = []
        for name, listed in sorted(parts.items()):
            whole = masks.union([part.counts for part in listed], image.height, image.width)
            objects.append(TrueObject(name, whole, tuple(listed)))
        return Truth(image.height, image.width, tuple(objects), self._is_own_class)

    def _add(self, path: Path) -> None:
        content = read_content(path)
        try:
            images = {i["id"]: (i["file_name"], int(i["height"]), int(i["width"])) for i in content["images"]}
            categories = {c["id"]: split_name(c) for c in content["categories"]}
            annotations = list(content["annotations"])
        except MALFORMED as error:
            raise _no_coco(path, error) from None
        for name, height, width in images.values():
            self._images.setdefault(name, _Image(height, width))
        for number, annotation in enumerate(annotations):
            label = f"{path.name}, annotation {number}"
            try:
                label = f"{path.name}, annotation {annotation.get('id', number)}"
                name = images[annotation["image_id"]][0]
                category = categories.get(annotation["category_id"])
                self._images[name].annotations.append(_Annotation(label, category, annotation["segmentation"]))
            except MALFORMED as error:
                self.strays.append(Stray(label, f"expected an annotation of a listed image, found {_text(error)}"))


def read_content(path: Path) -> Any:
    """The content of a file. Raises CorruptData if the file is not valid JSON."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _no_coco(path, error) from None


def split_name(category: Mapping[str, Any]) -> tuple[str, str]:
    """(object, part) in lower case: ``Car Side Mirror`` -> (car, side mirror)."""
    owner = str(category.get("supercategory") or category["name"].split(" ")[0])
    part = str(category["name"])
    if part.lower().startswith(owner.lower() + " "):
        part = part[len(owner) + 1 :]
    return owner.lower(), part.lower()


def encode_segmentation(segmentation: Any, height: int, width: int) -> bytes:
    """Polygons, or uncompressed or compressed run lengths -> compressed run lengths.

    Several polygons are united. The inside of a single polygon follows the even-odd rule, so a hole may be cut into it
    along a seam.

    Raises:
        ValueError and others: if ``segmentation`` has none of these forms, or does not fit the image.
    """
    if isinstance(segmentation, list):
        return _polygons(segmentation, height, width)
    if list(segmentation["size"]) != [height, width]:
        raise ValueError(f"a mask of size {segmentation['size']} in an image of size {[height, width]}")
    counts = segmentation["counts"]
    if isinstance(counts, list):
        return compress(counts, height, width)
    encoded = counts.encode() if isinstance(counts, str) else bytes(counts)
    check_run_lengths(encoded, height, width)
    return encoded


def _part(annotation: _Annotation, height: int, width: int) -> tuple[str, TruePart]:
    try:
        if annotation.category is None:
            raise ValueError("a category that is not listed")
        thing, part = annotation.category
        return thing, TruePart(part, encode_segmentation(annotation.segmentation, height, width))
    except MALFORMED as error:
        raise ImageFault("bad_annotation", f"{annotation.where}: expected a part mask, found {_text(error)}") from None


def _polygons(polygons: list[Any], height: int, width: int) -> bytes:
    """The union of the polygons; one that encloses no area, such as a polygon of two points, adds no pixel."""
    drawn = []
    for polygon in polygons:
        points = np.asarray(polygon, np.float64)
        if points.ndim != 1 or len(points) % 2:
            raise ValueError(f"a polygon of shape {points.shape} instead of x, y, x, y, …")
        # pycocotools needs memory in proportion to the length of an edge, so a distant point is as bad as NaN.
        if not (np.abs(points) <= 4 * max(height, width)).all():
            raise ValueError(f"a polygon that leaves the image of size {[height, width]}")
        if len(points) >= 6:
            drawn.append(points.tolist())
    encoded = coco.frPyObjects(drawn, height, width) if drawn else []
    return masks.union([rle["counts"] for rle in encoded], height, width)


def _no_coco(path: Path, error: Exception) -> CorruptData:
    problem = f"the file is not COCO JSON with images, categories and annotations ({_text(error)})"
    return CorruptData(problem, str(path), "Fix the file")


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
