"""COCO JSON with part categories; images are identified by their file names.

A category is a part: its ``name`` reads ``<Object> <part>``, or its ``supercategory`` names the object. The mask
of an object is the union of the masks of its parts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from pdstore import masks
from pdstore.errors import CorruptData, InputMissing
from pdstore.runlength import check_run_lengths, compress
from stages.datasets.file_names import match_names, nothing_in_common
from stages.datasets.part_names import split_name
from stages.datasets.truth import MALFORMED, Stray, TrueObject, TruePart, Truth, is_frame
from stages.source.images import ImageFault
from stages.source.listing import Listed
from stages.unit import Coverage

__all__ = ["CocoReader", "by_id", "encode_segmentation", "read_content"]

_LONGEST = 4_000_000
"""Pixels of the outlines of one mask: as many as if every other pixel of a large picture were one."""
_NOT_CROWD = (None, False, 0, "0", "")


@dataclass(frozen=True)
class _Annotation:
    where: str
    category: tuple[str, str] | None
    segmentation: Any


@dataclass
class _Image:
    """An image of the files, with its annotations as they are in the files."""

    height: int
    width: int
    annotations: list[_Annotation] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    other_size: tuple[int, int] | None = None


class CocoReader:
    """Makes the masks of one image at a time, so that a malformed annotation affects its own image only.

    Args:
        paths: JSON files; if several list the same image, their annotations add up.
        name: path -> what identifies an image, of a key and of a ``file_name`` alike. Unless it is given,
            :meth:`match` finds the key that a ``file_name`` means.
        is_own_class: every object is of its image's class, whatever the name of that class.
        vocabulary: see :func:`stages.datasets.part_names.split_name`.

    Raises:
        CorruptData: if a file is not COCO JSON, or an id stands twice; the error names the file.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        name: Callable[[str], str] | None = None,
        is_own_class: bool = False,
        vocabulary: Mapping[str, str] | None = None,
    ) -> None:
        self.strays: list[Stray] = []
        self._name, self._is_own_class, self._vocabulary = name, is_own_class, vocabulary or {}
        self._images: dict[str, _Image] = {}
        self._found: Mapping[str, Sequence[str]] | None = None
        self._paths = list(paths)
        self._num_annotations, self._wrong_id = 0, ""
        for path in self._paths:
            self._add(path)

    def match(self, images: Iterable[Listed], root: str = "") -> Coverage:
        """Find the images of the store that the files mean. Before this, a key means the ``file_name`` that equals it.

        A name that fits several images becomes a stray.

        Raises:
            InputMissing: no listed image is in the store, or no annotation belongs to a listed image.
        """
        listed = list(images)
        if self._name is None:
            matches = match_names(self._images, listed, root)
            self._found = matches.names
            self.strays += [Stray(name, why, "unclear_name") for name, why in matches.unclear.items()]
        else:
            self._found = {i.key: (name,) for i in listed if (name := self._name(i.key)) in self._images}
        where, in_store = ", ".join(map(str, self._paths)), {name for names in self._found.values() for name in names}
        if not in_store:
            why = self.strays[-1].detail if self.strays and self.strays[-1].reason == "unclear_name" else ""
            raise nothing_in_common(list(self._images), [image.key for image in listed], where, why)
        num_strays = sum(stray.reason == "bad_annotation" for stray in self.strays)
        if num_strays and num_strays == self._num_annotations:
            problem = f"none of the {num_strays} annotations belongs to an image that the file lists{self._wrong_id}"
            raise InputMissing(problem, where, "Give annotations the image_id that their images have as id")
        return Coverage(len(self._images), len(in_store), self._num_annotations, num_strays)

    def read(self, key: str, load: Callable[[str], bytes]) -> Truth | None:
        """Objects sorted by name, the parts of each as listed. Raises ImageFault if an annotation is malformed."""
        names = (self._name(key) if self._name else key,) if self._found is None else self._found.get(key, ())
        images = [self._images[name] for name in names if name in self._images]
        if not images:
            return None
        height, width = images[0].height, images[0].width
        if not is_frame(height, width):
            raise ImageFault("wrong_size", f"the image is listed with {width} x {height} pixels")
        for size in [other for i in images for other in ((i.height, i.width), i.other_size) if other is not None]:
            if size != (height, width):
                sizes = f"(height, width) {(height, width)} and {size}"
                raise ImageFault("wrong_size", f"the image is listed in two sizes, {sizes}")
        parts: dict[str, list[TruePart]] = {}
        for annotation in (annotation for image in images for annotation in image.annotations):
            thing, part = _part(annotation, height, width)
            parts.setdefault(thing, []).append(part)
        objects = []
        for name, listed in sorted(parts.items()):
            whole = masks.union([part.counts for part in listed], height, width)
            objects.append(TrueObject(name, whole, tuple(listed)))
        left_out = tuple(fault for image in images for fault in image.left_out)
        return Truth(height, width, tuple(objects), self._is_own_class, left_out)

    def _add(self, path: Path) -> None:
        content = read_content(path)
        try:
            images = {
                number: (_text_of(image["file_name"]), int(image["height"]), int(image["width"]))
                for number, image in by_id(content["images"], path, "image", "file_name").items()
            }
            listed = by_id(content["categories"], path, "category", "name")
            categories = {number: split_name(category, self._vocabulary) for number, category in listed.items()}
            annotations = list(content["annotations"])
        except MALFORMED as error:
            raise _no_coco(path, error) from None
        names = {number: self._name(name) if self._name else name for number, (name, *_) in images.items()}
        for number, (_, height, width) in images.items():
            image = self._images.setdefault(names[number], _Image(height, width))
            if (image.height, image.width) != (height, width):
                image.other_size = (height, width)
        self._num_annotations += len(annotations)
        seen: dict[Any, Any] = {}
        for number, annotation in enumerate(annotations):
            label = f"{path.name}, annotation {number}"
            try:
                label = f"{path.name}, annotation {annotation.get('id', number)}"
                image = self._images[names[annotation["image_id"]]]
                category = categories.get(annotation["category_id"])
                is_repeated = "id" in annotation and seen.setdefault(annotation["id"], annotation) is not annotation
            except MALFORMED as error:
                self._add_stray(label, annotation, images, error)
                continue
            if annotation.get("iscrowd") not in _NOT_CROWD:
                image.left_out.append(("crowd", f"{label}: iscrowd is {annotation['iscrowd']!r}: a crowd is no part"))
            elif is_repeated and seen[annotation["id"]] == annotation:
                image.left_out.append(("repeated", f"{label}: it stands in the file twice"))
            else:
                image.annotations.append(_Annotation(label, category, annotation.get("segmentation")))

    def _add_stray(self, label: str, annotation: Any, images: Mapping[Any, Any], error: Exception) -> None:
        self.strays.append(Stray(label, f"expected an annotation of a listed image, found {_text(error)}"))
        number = annotation.get("image_id") if isinstance(annotation, dict) else None
        self._wrong_id = f": image_id is {number!r}, for example, and an id {next(iter(images), None)!r}"


def by_id(records: Iterable[Mapping[str, Any]], path: Path, what: str, name: str) -> dict[Any, Mapping[str, Any]]:
    """The images or categories of a file by their ids.

    Raises:
        CorruptData: two have the same id, so it is not known which of them an annotation means.
    """
    found: dict[Any, Mapping[str, Any]] = {}
    for record in records:
        number = record["id"]
        if number in found:
            problem = (
                f"expected every {what} to have an id of its own, but the id {number!r} stands twice: "
                f"{found[number].get(name)!r} and {record.get(name)!r}"
            )
            raise CorruptData(problem, str(path), "Fix the file")
        found[number] = record
    return found


def read_content(path: Path) -> Any:
    """The content of a file. Raises CorruptData if the file is not valid JSON."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _no_coco(path, error) from None


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
        if annotation.segmentation is None:
            raise ValueError("no segmentation")
        thing, part = annotation.category
        return thing, TruePart(part, encode_segmentation(annotation.segmentation, height, width))
    except MALFORMED as error:
        raise ImageFault("bad_annotation", f"{annotation.where}: expected a part mask, found {_text(error)}") from None


def _polygons(polygons: list[Any], height: int, width: int) -> bytes:
    """The union of the polygons; one that encloses no area, such as a polygon of two points, adds no pixel."""
    drawn, length = [], 0.0
    for polygon in polygons:
        points = np.asarray(polygon, np.float64)
        if points.ndim != 1 or len(points) % 2:
            raise ValueError(f"a polygon of shape {points.shape} instead of x, y, x, y, …")
        # pycocotools needs memory in proportion to the length of an edge, so a distant point is as bad as NaN.
        if not (np.abs(points) <= 4 * max(height, width)).all():
            raise ValueError(f"a polygon that leaves the image of size {[height, width]}")
        if len(points) >= 6:
            drawn.append(points.tolist())
            corners = points.reshape(-1, 2)
            length += float(np.abs(corners - np.roll(corners, 1, 0)).max(1).sum())
    # Memory grows with the length of the outlines.
    if length > _LONGEST:
        raise ValueError(f"outlines of {length:.0f} pixels in all, and not of {_LONGEST} at most")
    encoded = coco.frPyObjects(drawn, height, width) if drawn else []
    return masks.union([rle["counts"] for rle in encoded], height, width)


def _no_coco(path: Path, error: Exception) -> CorruptData:
    problem = f"the file is not COCO JSON with images, categories and annotations ({_text(error)})"
    return CorruptData(problem, str(path), "Fix the file")


def _text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a file_name that is no text: {value!r}")
    return value


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
