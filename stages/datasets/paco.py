"""PACO: COCO JSON in which objects have masks of their own, and each part names its object.

A category whose name reads ``<object>`` is an object, one whose name reads ``<object>:<part>`` a part. The key
``obj_ann_id`` of a part is the id of its object; an object has its own id there. Attributes are not read. PACO-LVIS has
75 objects and 456 parts on the photographs of COCO, whose ``file_name`` reads ``train2017/<number>.jpg``. Sources: the
data set's own page on its format, and ``paco_categories.py`` of ``facebookresearch/paco``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from pdstore import masks
from pdstore.errors import CorruptData, UsageError
from stages.datasets.coco import encode_segmentation, read_content
from stages.datasets.truth import MALFORMED, Stray, TrueObject, TruePart, Truth
from stages.source.images import ImageFault

__all__ = ["PacoIndex", "PacoReader", "classes", "images", "read_index", "settings", "split_category", "suffixes"]

_FILES = ("{name}.json", "annotations/{name}.json", "annotations/paco/{name}.json", "paco/annotations/{name}.json")
_NAME = "paco_lvis_v1_{split}"
_PLACES = ("", "images/", "coco/", "coco/images/")
"""Where the folders train2017 and val2017 of COCO may lie under the image folder."""


@dataclass(frozen=True, slots=True)
class _Annotation:
    """An annotation as it is in the file. ``owner`` is the id of its object; None if it names none."""

    where: str
    number: Any
    category: tuple[str, str] | None
    segmentation: Any
    owner: Any
    is_crowd: bool


@dataclass(slots=True)
class _Image:
    """An image of the files; ``fault`` says why nothing can be said about it, if so."""

    height: int
    width: int
    fault: str = ""
    annotations: list[_Annotation] = field(default_factory=list)


@dataclass(frozen=True)
class PacoIndex:
    """What the listing needs from a JSON file.

    Attributes:
        names: folder and name of each image file, in listed order.
        objects: published name of each object -> smallest id of its category.
        owners: image -> object in words -> how many annotations of the image are of it or of its parts.
    """

    names: tuple[str, ...]
    objects: Mapping[str, int]
    owners: Mapping[str, Mapping[str, int]]


class PacoReader:
    """Makes the masks of one image at a time, so that a malformed annotation affects itself only.

    Args:
        paths: JSON files; if several list the same image, their annotations add up.
        is_linked: every part names its object. Otherwise parts without ``obj_ann_id`` belong to the one object of their
            class in the image; if there is none, their union is the object.
        is_own_class: every object is of its image's class.

    Raises:
        CorruptData: if a file is not JSON of this kind, or an id of an image or a category stands twice.
    """

    def __init__(self, paths: Iterable[Path], is_linked: bool = True, is_own_class: bool = False) -> None:
        self.strays: list[Stray] = []
        self._is_linked, self._is_own_class = is_linked, is_own_class
        self._images: dict[str, _Image] = {}
        for path in paths:
            self._add(path)

    def read(self, key: str, load: Callable[[str], bytes]) -> Truth | None:
        """Objects in the order of the file, the parts of each as well; what cannot be used is in ``rejected``.

        Raises:
            ImageFault: if the files contradict each other about the image.
        """
        image = next((self._images[name] for name in suffixes(key) if name in self._images), None)
        if image is None:
            return None
        if image.fault:
            raise ImageFault("bad_annotation", image.fault)
        return _truth(image, self._is_linked, self._is_own_class)

    def _add(self, path: Path) -> None:
        content = read_content(path)
        try:
            images = _by_id(path, content["images"])
            categories = {i: split_category(c["name"]) for i, c in _by_id(path, content["categories"]).items()}
            names = {i: (_short(one["file_name"]), int(one["height"]), int(one["width"])) for i, one in images.items()}
            annotations = list(content["annotations"])
        except MALFORMED as error:
            raise _not_paco(path, error) from None
        for name, height, width in names.values():
            image = self._images.setdefault(name, _Image(height, width))
            if (image.height, image.width) != (height, width):
                sizes = f"{image.width}x{image.height} and {width}x{height}"
                image.fault = f"{path.name}: the image is listed in two sizes, {sizes} pixels"
        for number, annotation in enumerate(annotations):
            where = f"{path.name}, annotation {number}"
            try:
                where = f"{path.name}, annotation {annotation['id']}"
                one = _annotation(where, path, annotation, categories)
                self._images[names[annotation["image_id"]][0]].annotations.append(one)
            except MALFORMED as error:
                detail = f"expected an annotation of a listed image, found {type(error).__name__}: {error}"
                self.strays.append(Stray(where, detail))


def images(root: Path, split: str) -> Iterator[tuple[str, str]]:
    """(key, "") of the images of a split; an image has no class of its own, because it shows several objects.

    Raises:
        UsageError: if there is no JSON file for the split.
        CorruptData: if the file is not of this kind.
    """
    for name in read_index(root / _json(root, split)).names:
        places = [f"{place}{name}" for place in _PLACES]
        yield next((key for key in places if (root / key).is_file()), places[0]), ""


def classes(root: Path, splits: Sequence[str]) -> list[tuple[str, str]]:
    """(published name, name in words) of the objects, in the order of their ids in the first file that has them."""
    numbered: dict[str, int] = {}
    for split in splits:
        for name, number in read_index(root / _json(root, split)).objects.items():
            numbered.setdefault(name, number)
    ordered = sorted(numbered, key=lambda name: (numbered[name], name))
    return [(name, split_category(name)[0]) for name in ordered]


def settings(root: Path, splits: Sequence[str]) -> dict[str, Any]:
    """Settings of the ground-truth nodes. Raises UsageError if a split has no JSON file."""
    return {"format": "paco", "file": [f"{{images}}/{_json(root, split)}" for split in splits]}


def split_category(name: str) -> tuple[str, str]:
    """(object, part) in words and lower case: ``car_(automobile):side_mirror`` -> (car (automobile), side mirror).

    The part of an object is empty.
    """
    owner, _, part = str(name).replace("_", " ").lower().partition(":")
    return owner.strip(), part.strip()


def suffixes(key: str) -> Iterator[str]:
    """The key, then the key without its first folder, and so on: any of them may be the ``file_name`` in a JSON."""
    parts = PurePosixPath(key).parts
    return ("/".join(parts[first:]) for first in range(len(parts)))


def read_index(path: Path) -> PacoIndex:
    """The listing of a file, read again only if the file has changed. Raises CorruptData."""
    status = path.stat()
    return _read_index(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=3)
def _read_index(path: Path, size: int, mtime_ns: int) -> PacoIndex:
    content = read_content(path)
    owners: dict[str, dict[str, int]] = {}
    objects: dict[str, int] = {}
    try:
        names = {i: _short(image["file_name"]) for i, image in _by_id(path, content["images"]).items()}
        categories = {i: str(c["name"]) for i, c in _by_id(path, content["categories"]).items()}
        for number, name in sorted(categories.items()):
            if ":" not in name:
                objects.setdefault(name, int(number))
        for annotation in content["annotations"]:
            # A malformed annotation is reported with its image when the ground truth is read.
            if isinstance(annotation, dict):
                image_id, category = (annotation.get(key) for key in ("image_id", "category_id"))
                if image_id in names and category in categories:
                    counts = owners.setdefault(names[image_id], {})
                    owner = split_category(categories[category])[0]
                    counts[owner] = counts.get(owner, 0) + 1
    except MALFORMED as error:
        raise _not_paco(path, error) from None
    return PacoIndex(tuple(dict.fromkeys(names.values())), objects, owners)


def _json(root: Path, split: str) -> str:
    name = _NAME.format(split=split)
    for place in _FILES:
        if (root / place.format(name=name)).is_file():
            return place.format(name=name)
    fix = "Name the folder that contains the JSON files of PACO and the folders train2017 and val2017: --images DIR"
    raise UsageError(f"there is no {name}.json or annotations/{name}.json here", str(root), fix)


def _by_id(path: Path, listed: Iterable[Mapping[str, Any]]) -> dict[Any, Mapping[str, Any]]:
    found: dict[Any, Mapping[str, Any]] = {}
    for one in listed:
        other = found.setdefault(one["id"], one)
        if other is not one and other != one:
            what = [str(each.get("file_name", each.get("name"))) for each in (other, one)]
            problem = f"the id {one['id']} stands twice, for {what[0]} and for {what[1]}"
            raise CorruptData(problem, str(path), "Give each image and each category an id of its own")
    return found


def _annotation(
    where: str, path: Path, annotation: Mapping[str, Any], categories: Mapping[Any, tuple[str, str]]
) -> _Annotation:
    # Ids are those of one file: two files may use the same.
    owner = annotation.get("obj_ann_id")
    return _Annotation(
        where,
        (path, annotation["id"]),
        categories.get(annotation["category_id"]),
        annotation["segmentation"],
        None if owner is None else (path, owner),
        bool(annotation.get("iscrowd")),
    )


def _truth(image: _Image, is_linked: bool, is_own_class: bool) -> Truth:
    """Sorts the annotations of an image into objects, their parts, and what cannot be used."""
    seen: dict[Any, int] = {}
    for one in image.annotations:
        seen[one.number] = seen.get(one.number, 0) + 1
    rejected: list[str] = []
    whole: dict[Any, tuple[str, bytes]] = {}
    parts: dict[Any, list[TruePart]] = {}
    # Objects first: a file may list a part before its object.
    for one in sorted(image.annotations, key=lambda one: one.category is not None and bool(one.category[1])):
        try:
            if seen[one.number] > 1:
                raise ValueError("an id that stands more than once")
            if one.category is None:
                raise ValueError("a category that is not listed")
            if one.is_crowd:
                raise ValueError("a crowd, which is not one object")
            owner = one.number if not one.category[1] else _owner(one, whole, is_linked)
            counts = encode_segmentation(one.segmentation, image.height, image.width)
        except MALFORMED as error:
            reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            rejected.append(f"{one.where}: expected a mask of an object or of its part, found {reason}")
            continue
        if one.category[1]:
            parts.setdefault(owner, []).append(TruePart(one.category[1], counts))
        else:
            whole[owner] = one.category[0], counts
    objects = [TrueObject(name, counts, tuple(parts.pop(i, ()))) for i, (name, counts) in whole.items()]
    for (_, name), several in parts.items():
        union = masks.union([part.counts for part in several], image.height, image.width)
        objects.append(TrueObject(name, union, tuple(several)))
    return Truth(image.height, image.width, tuple(objects), is_own_class, tuple(rejected))


def _owner(part: _Annotation, whole: Mapping[Any, tuple[str, bytes]], is_linked: bool) -> Any:
    """The key of the object that a part belongs to. Raises ValueError if there is no such object."""
    assert part.category is not None
    name = part.category[0]
    if part.owner is not None:
        if part.owner == part.number or part.owner not in whole:
            raise ValueError(f"a part without its object: no usable object of this image has the id {part.owner[1]}")
        if whole[part.owner][0] != name:
            raise ValueError(f"a part of {name} whose object is {whole[part.owner][0]}")
        return part.owner
    if is_linked:
        raise ValueError("a part without its object: it has no obj_ann_id")
    same = [number for number, (owner, _) in whole.items() if owner == name]
    if len(same) > 1:
        raise ValueError(f"a part that may belong to any of {len(same)} objects: it has no obj_ann_id")
    return same[0] if same else ("", name)


def _short(file_name: str) -> str:
    """Folder and name: what is before them (``./``, a disk, an address) differs from machine to machine."""
    parts = PurePosixPath(file_name.replace("\\", "/")).parts[-2:]
    if not parts or ".." in parts:
        raise ValueError(f"the file_name {file_name!r}")
    return "/".join(part for part in parts if part != "/")


def _not_paco(path: Path, error: Exception) -> CorruptData:
    detail = f"{type(error).__name__}: {error}"
    problem = f"the file is not COCO JSON with images, categories and annotations ({detail})"
    return CorruptData(problem, str(path), "Fix the file")
