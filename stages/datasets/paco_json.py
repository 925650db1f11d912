"""COCO JSON in which objects have masks of their own, and each part names its object, as in PACO.

A category whose name reads ``<object>`` is an object, one whose name reads ``<object>:<part>`` a part. The key
``obj_ann_id`` of a part is the id of its object; an object has its own id there. Attributes are not read. Source: the
page on the format in ``facebookresearch/paco``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pdstore import masks
from pdstore.errors import CorruptData, InputMissing
from stages.datasets.coco import encode_segmentation, read_content
from stages.datasets.file_names import nothing_in_common
from stages.datasets.truth import MALFORMED, Stray, TrueObject, TruePart, Truth, is_frame
from stages.source.images import ImageFault
from stages.source.listing import Listed
from stages.unit import Coverage

__all__ = ["PacoReader", "by_id", "not_paco", "short_name", "split_category", "suffixes"]

"""pycocotools counts pixels in 32 bits."""


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


class PacoReader:
    """Makes the masks of one image at a time, so that a malformed annotation affects itself only.

    Args:
        paths: JSON files; if several list the same image, their annotations add up.
        is_linked: every part names its object. Otherwise parts without ``obj_ann_id`` belong to the one object of their
            class in the image; if there is none, their union is the object.
        is_own_class: every object is of its image's class.
        category: name of a category -> (object, part); the part of an object is empty.

    Raises:
        CorruptData: if a file is not JSON of this kind, or an id of an image or a category stands twice.
    """

    def __init__(
        self,
        paths: Iterable[Path] = (),
        is_linked: bool = True,
        is_own_class: bool = False,
        category: Callable[[str], tuple[str, str]] | None = None,
    ) -> None:
        self.strays: list[Stray] = []
        self._is_linked, self._is_own_class = is_linked, is_own_class
        self._category = category or split_category
        self._images: dict[str, _Image] = {}
        self._paths, self._num_annotations = list(paths), 0
        for path in self._paths:
            self.add(path, read_content(path))

    @property
    def names(self) -> list[str]:
        """Folder and name of each image, in listed order."""
        return list(self._images)

    def match(self, images: Iterable[Listed]) -> Coverage:
        """What the files have in common with the images of the store.

        Raises:
            InputMissing: no listed image is in the store, or no annotation belongs to a listed image.
        """
        keys = [image.key for image in images]
        in_store = {name for key in keys if (name := self._name_of(key)) is not None}
        where = ", ".join(map(str, self._paths))
        if not in_store:
            raise nothing_in_common(list(self._images), keys, where)
        if self.strays and len(self.strays) == self._num_annotations:
            problem = f"none of the {len(self.strays)} annotations belongs to an image that the file lists"
            raise InputMissing(problem, where, "Give annotations the image_id that their images have as id")
        return Coverage(len(self._images), len(in_store), self._num_annotations, len(self.strays))

    def read(self, key: str, load: Callable[[str], bytes]) -> Truth | None:
        """Objects in the order of the file, the parts of each as well; what cannot be used is in ``left_out``.

        Raises:
            ImageFault: if the files contradict each other about the image.
        """
        name = self._name_of(key)
        if name is None:
            return None
        image = self._images[name]
        if image.fault:
            raise ImageFault("bad_annotation", image.fault)
        truth = _truth(image, self._is_linked, self._is_own_class)
        owners = sorted({thing.name for thing in truth.objects})
        if self._is_own_class and len(owners) > 1:
            raise ImageFault("bad_annotation", f"expected objects of the image's own class, found {', '.join(owners)}")
        return truth

    def add(self, path: Path, content: Any) -> None:
        """Take in the content of a file; ``path`` only names it. Raises CorruptData."""
        try:
            images = by_id(path, content["images"])
            categories = {i: self._category(str(c["name"])) for i, c in by_id(path, content["categories"]).items()}
            names = {
                i: (short_name(one["file_name"]), int(one["height"]), int(one["width"])) for i, one in images.items()
            }
            annotations = list(content["annotations"])
        except MALFORMED as error:
            raise not_paco(path, error) from None
        self._num_annotations += len(annotations)
        for name, height, width in names.values():
            image = self._images.setdefault(name, _Image(height, width))
            if (image.height, image.width) != (height, width):
                sizes = f"{image.width}x{image.height} and {width}x{height}"
                image.fault = f"{path.name}: the image is listed in two sizes, {sizes} pixels"
            elif not is_frame(height, width):
                image.fault = f"{path.name}: the image is listed with {width}x{height} pixels"
        for number, annotation in enumerate(annotations):
            where = f"{path.name}, annotation {number}"
            try:
                where = f"{path.name}, annotation {annotation['id']}"
                one = _annotation(where, path, annotation, categories)
                self._images[names[annotation["image_id"]][0]].annotations.append(one)
            except MALFORMED as error:
                detail = f"expected an annotation of a listed image, found {type(error).__name__}: {error}"
                self.strays.append(Stray(where, detail))

    def _name_of(self, key: str) -> str | None:
        """Folder and name under which the files list the image of the store; None if they do not list it."""
        return next((name for name in suffixes(key) if name in self._images), None)


def split_category(name: str) -> tuple[str, str]:
    """(object, part) in words and lower case: ``car_(automobile):side_mirror`` -> (car (automobile), side mirror).

    The part of an object is empty.
    """
    owner, _, part = name.replace("_", " ").lower().partition(":")
    return owner.strip(), part.strip()


def suffixes(key: str) -> Iterator[str]:
    """The key, then the key without its first folder, and so on: any of them may be the ``file_name`` in a JSON."""
    parts = PurePosixPath(key).parts
    return ("/".join(parts[first:]) for first in range(len(parts)))


def by_id(path: Path, listed: Iterable[Mapping[str, Any]]) -> dict[Any, Mapping[str, Any]]:
    """Records by their ids; equal ones count once. Raises CorruptData if an id stands for two of them."""
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
    hash((annotation["id"], owner))
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
    first: dict[Any, _Annotation] = {}
    left_out: list[tuple[str, str]] = []
    usable = []
    for one in image.annotations:
        if first.setdefault(one.number, one) is one or first[one.number] != one:
            usable.append(one)
        else:
            left_out.append(("repeated", f"{one.where}: it stands in the file twice"))
    seen = Counter(one.number for one in usable)
    whole: dict[Any, tuple[str, bytes]] = {}
    parts: dict[Any, list[TruePart]] = {}
    # Objects first: a file may list a part before its object.
    for one in sorted(usable, key=lambda one: one.category is not None and bool(one.category[1])):
        if one.is_crowd:
            left_out.append(("crowd", f"{one.where}: a crowd is neither an object nor a part"))
            continue
        try:
            if seen[one.number] > 1:
                raise ValueError("an id that stands more than once")
            if one.category is None:
                raise ValueError("a category that is not listed")
            owner = one.number if not one.category[1] else _owner(one, whole, is_linked)
            counts = encode_segmentation(one.segmentation, image.height, image.width)
        except MALFORMED as error:
            reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            detail = f"{one.where}: expected a mask of an object or of its part, found {reason}"
            left_out.append(("bad_annotation", detail))
            continue
        if one.category[1]:
            parts.setdefault(owner, []).append(TruePart(one.category[1], counts))
        else:
            whole[owner] = one.category[0], counts
    objects = [TrueObject(name, counts, tuple(parts.pop(i, ()))) for i, (name, counts) in whole.items()]
    for (_, name), several in parts.items():
        union = masks.union([part.counts for part in several], image.height, image.width)
        objects.append(TrueObject(name, union, tuple(several)))
    return Truth(image.height, image.width, tuple(objects), is_own_class, tuple(left_out))


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


def short_name(file_name: str) -> str:
    """Folder and name: what is before them (``./``, a disk, an address) differs from machine to machine."""
    parts = PurePosixPath(file_name.replace("\\", "/")).parts[-2:]
    if not parts or ".." in parts:
        raise ValueError(f"the file_name {file_name!r}")
    return "/".join(part for part in parts if part != "/")


def not_paco(path: Path, error: Exception) -> CorruptData:
    """The error for a file whose content is not of this kind."""
    detail = f"{type(error).__name__}: {error}"
    problem = f"the file is not COCO JSON with images, categories and annotations ({detail})"
    return CorruptData(problem, str(path), "Fix the file")
