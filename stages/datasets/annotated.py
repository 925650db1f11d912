"""Annotations of a block's images: the code that annotated-objects, annotated-parts and annotated-labels share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pdstore import Ragged, masks
from schemas.stages import AnnotationsSettings
from stages.block import read_image
from stages.datasets import part_imagenet, part_imagenet_pp
from stages.datasets.cityscapes_part import CityscapesPartReader
from stages.datasets.coco import CocoReader
from stages.datasets.paco_json import PacoReader
from stages.datasets.part_names import class_names, vocabulary_of
from stages.datasets.pascal_part import PascalPartReader
from stages.datasets.truth import Reader, TrueObject, Truth, merged
from stages.source.images import ImageFault, decode_ahead
from stages.source.listing import ImageClass, Listed
from stages.unit import Coverage, LeftOut, Setup, Unit

__all__ = ["READERS", "Drawn", "drawn_objects", "labelled"]

READERS: Mapping[str, Callable[[AnnotationsSettings, Sequence[Path], Setup], Reader]] = {
    "coco": lambda settings, paths, setup: CocoReader(paths, vocabulary=vocabulary_of(class_names(setup.classes))),
    "paco": lambda settings, paths, setup: PacoReader(paths),
    "part_imagenet": lambda settings, paths, setup: part_imagenet.reader(paths),
    "part_imagenet_pp": lambda settings, paths, setup: part_imagenet_pp.reader(settings.folder, paths),
    "pascal_part": lambda settings, paths, setup: PascalPartReader(settings.folder),
    "cityscapes_part": lambda settings, paths, setup: CityscapesPartReader(settings.folder),
}
"""Format -> its reader, given the settings, the paths of the JSON files, and what the node knows of the store."""


@dataclass(frozen=True)
class Drawn:
    """An annotated object, numbered within its image: the first columns of its rows, its mask and its parts.

    Attributes:
        height, width: of the image, in pixels.
        thing: the object as the data set has it.
        area: number of pixels of the object, at least one.
        part_areas: number of pixels of each part, which may be 0.
    """

    image_id: int
    object_id: int
    category_id: int
    height: int
    width: int
    thing: TrueObject
    area: int
    part_areas: tuple[int, ...]


def drawn_objects(settings: AnnotationsSettings, setup: Setup) -> Callable[[Unit, set[int]], Iterator[Drawn]]:
    """The objects of a block's images, in ascending order of image.

    Objects are numbered as the data set lists them, those of the image's own class first. An image whose annotation is
    missing or malformed becomes a row of ``errors``, and so does an object without pixels.

    Returns:
        A function of the block, and of a set to which the images are added that the data set lists and whose annotation
        is sound. An image that was looked at, and in which nothing was drawn, is among them.

    Raises:
        CorruptData: if a file that should list all annotations is damaged or of another format.
    """
    paths = [path for name, path in setup.files.items() if name.partition(".")[0] == "file"]
    reader = READERS[settings.format](settings, paths, setup)
    coverage = _matched(reader, setup)
    classes = {name.lower(): c for name, c in class_names(setup.classes).items()}
    chosen: set[int] = set()

    def run(unit: Unit, listed: set[int]) -> Iterator[Drawn]:
        if settings.percent < 100 and not chosen:
            chosen.update(labelled(setup.listed(), settings.percent, settings.seed))
        # Stray annotations belong to no block, so the first block reports them.
        for stray in reader.strays if unit.number == 0 else ():
            of: LeftOut = "annotation" if stray.reason == "bad_annotation" else "name"
            unit.reject(-1, stray.reason, stray.detail, stray.subject, of=of)
        unit.coverage = coverage
        keys = [(i, key) for i, key in sorted(unit.own_block.keys.items()) if settings.percent == 100 or i in chosen]
        categories = unit.own_block.classes
        for (image_id, _), truth in decode_ahead(keys, _load(unit, reader)):
            unit.check_stop()
            if isinstance(truth, ImageFault):
                unit.reject(image_id, truth.reason, truth.detail)
            elif truth is not None:
                listed.add(image_id)
                for reason, detail in truth.left_out:
                    unit.reject(image_id, reason, detail, of="annotation")
                yield from _numbered(unit, image_id, categories[image_id], truth, classes, settings)
            unit.advance(1)

    return run


def labelled(images: Iterable[Listed], percent: float, seed: int) -> set[int]:
    """The images of each split whose labels are used: the first ``percent`` of them in an order that ``seed`` gives.

    A smaller percentage is a subset of a larger one. The number is rounded down, but each split keeps at least one
    image. Source: reference setting ``LABEL_PERCENTAGE``, which shuffles the list and takes its beginning.
    """
    splits: dict[str, list[Listed]] = {}
    for image in images:
        splits.setdefault(image.split, []).append(image)
    chosen: set[int] = set()
    for members in splits.values():
        members.sort(key=lambda image: hashlib.sha256(f"{seed} {image.key}".encode()).digest())
        chosen |= {image.image_id for image in members[: max(1, int(len(members) * percent / 100))]}
    return chosen


def _matched(reader: Reader, setup: Setup) -> Coverage | None:
    """None for a reader of one file per image, which finds the file by the key. Raises InputMissing."""
    if not isinstance(reader, CocoReader | PacoReader) or not (images := list(setup.listed())):
        return None
    return reader.match(images, setup.root) if isinstance(reader, CocoReader) else reader.match(images)


def _load(unit: Unit, reader: Reader) -> Callable[[tuple[int, str]], Truth | None]:
    rows = unit.own_block.image_rows
    sizes = dict(zip(rows["image_id"].tolist(), zip(rows["height"], rows["width"], strict=True), strict=True))

    def load(item: tuple[int, str]) -> Truth | None:
        truth, size = reader.read(item[1], partial(read_image, unit.images)), tuple(map(int, sizes[item[0]]))
        if truth is not None and truth.objects and (truth.height, truth.width) != size:
            detail = f"the masks have (height, width) {(truth.height, truth.width)}, but the image has {size}"
            raise ImageFault("wrong_size", detail)
        return truth

    return load


def _numbered(
    unit: Unit,
    image_id: int,
    category: tuple[int, str],
    truth: Truth,
    classes: Mapping[str, ImageClass],
    settings: AnnotationsSettings,
) -> Iterator[Drawn]:
    height, width = truth.height, truth.width
    own = category[1].lower()
    things = sorted(_named(truth, own), key=lambda thing: thing.name != own)
    for number, thing in enumerate(things):
        areas = _areas(thing, height, width)
        unit.num_used += int((areas[1:] > 0).sum())
        if settings.merge_parts:
            thing = merged(thing, height, width)
            areas = _areas(thing, height, width)
        if not areas[0]:
            unit.reject(image_id, "empty_mask", f"object {number} ({thing.name}) has no pixels", of="object")
            continue
        is_own = truth.is_own_class or thing.name == own
        category_id = category[0] if is_own else -1
        if not is_own and (known := classes.get(thing.name)) is not None:
            category_id, thing = known.class_id, replace(thing, name=known.name.lower())
        yield Drawn(image_id, number, category_id, height, width, thing, int(areas[0]), tuple(areas[1:].tolist()))


def _named(truth: Truth, own: str) -> list[TrueObject]:
    """The objects; parts that name no object belong to the one of the image's own class."""
    nameless = next((thing for thing in truth.objects if not thing.name), None)
    if nameless is None:
        return list(truth.objects)
    name = own or nameless.parts[0].name
    same = [thing for thing in truth.objects if thing.name in ("", name)]
    whole = masks.union([thing.counts for thing in same], truth.height, truth.width)
    united = TrueObject(name, whole, tuple(part for thing in same for part in thing.parts))
    return [united, *(thing for thing in truth.objects if thing not in same)]


def _areas(thing: TrueObject, height: int, width: int) -> npt.NDArray[np.int64]:
    """Pixels of the object, then of each part."""
    areas = masks.area(Ragged.from_list([thing.counts, *(part.counts for part in thing.parts)]), height, width)
    return np.asarray(areas, np.int64)
