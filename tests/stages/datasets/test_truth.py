"""Ground truth of one image: merging of parts, and what the readers have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pdstore import masks
from stages.datasets.cityscapes_part import CityscapesPartReader
from stages.datasets.coco import CocoReader
from stages.datasets.paco_json import PacoReader
from stages.datasets.part_imagenet_pp import ClassFileReader
from stages.datasets.part_numbers import LabelMapReader
from stages.datasets.pascal_part import PascalPartReader
from stages.datasets.truth import Reader, TrueObject, TruePart, Truth, merged
from stages.source.images import ImageFault
from tests.stages.datasets.published import (
    HEIGHT,
    WIDTH,
    box,
    compressed,
    paco,
    polygon,
    write_class_file,
    write_coco,
    write_label_map,
    write_mat,
    write_paco,
    write_tiff,
)

Bools = np.ndarray[Any, np.dtype[np.bool_]]


def encoded(mask: Bools) -> bytes:
    return masks.encode(mask[None])[0]


def test_parts_of_one_name_are_united() -> None:
    """The union takes the place of the first of them; name and mask of the object stay."""
    left, right, head = box(0, 0, 4, 4), box(10, 10, 5, 5), box(4, 4, 3, 3)
    parts = (TruePart("ear", encoded(left)), TruePart("head", encoded(head)), TruePart("ear", encoded(right)))
    dog = TrueObject("dog", encoded(left | right | head), parts)
    united = merged(dog, HEIGHT, WIDTH)
    assert (united.name, united.counts) == (dog.name, dog.counts)
    assert [part.name for part in united.parts] == ["ear", "head"]
    assert (masks.decode_one(united.parts[0].counts, HEIGHT, WIDTH) == left | right).all()
    assert (masks.decode_one(united.parts[1].counts, HEIGHT, WIDTH) == head).all()


def test_merging_twice_is_merging_once() -> None:
    """An object whose parts have different names stays as it is, and so does one without parts."""
    dog = TrueObject("dog", encoded(box(0, 0, 9, 9)), (TruePart("head", encoded(box(0, 0, 4, 4))),))
    assert merged(dog, HEIGHT, WIDTH) == dog
    bare = TrueObject("dog", encoded(box(0, 0, 9, 9)), ())
    assert merged(bare, HEIGHT, WIDTH) == bare


@pytest.fixture(params=["coco", "paco", "class_file", "label_map", "pascal_part", "cityscapes_part"])
def annotated(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Reader, str]:
    """A reader of each format, and the key of an image that its data set annotates."""
    key = "leftImg8bit/train/ulm/ulm_1_leftImg8bit.png"
    if request.param == "class_file":
        write_class_file(tmp_path, "n01440764", {"1.JPEG": [(2, [polygon(2, 2, 8, 8)])]})
        return ClassFileReader("json", {}), "train/n01440764/1.JPEG"
    if request.param == "label_map":
        write_label_map(tmp_path / "seg/n01440764/1.png", (2, box(2, 2, 8, 8)))
        return LabelMapReader("seg", {"n01440764": 2}, {}), "train/n01440764/1.JPEG"
    if request.param == "coco":
        write_coco(tmp_path / "a.json", {key: [(3, [polygon(2, 2, 8, 8)])]})
        return CocoReader([tmp_path / "a.json"]), key
    if request.param == "paco":
        dog = [paco(1, 400, 1, [polygon(2, 2, 8, 8)]), paco(2, 2001, 1, compressed(box(2, 2, 4, 4)))]
        write_paco(tmp_path / "a.json", {key: dog})
        return PacoReader([tmp_path / "a.json"]), key
    if request.param == "pascal_part":
        write_mat(tmp_path / "mat/ulm_1_leftImg8bit.mat", ("dog", box(2, 2, 8, 8), [("head", box(2, 2, 4, 4))]))
        return PascalPartReader("mat"), key
    uids = np.where(box(2, 2, 8, 8), 2600102, 7).astype(np.int32)
    write_tiff(tmp_path / "gt/train/ulm/ulm_1_gtFinePanopticParts.tif", uids)
    return CityscapesPartReader("gt"), key


def test_every_reader_gives_masks_of_the_image(annotated: tuple[Reader, str], load: Callable[[str], bytes]) -> None:
    """Object and part masks decode at the size of the image, and each object contains its parts."""
    reader, key = annotated
    truth = reader.read(key, load)
    assert isinstance(truth, Truth) and len(truth.objects) == 1 and list(reader.strays) == []
    (thing,) = truth.objects
    whole = masks.decode_one(thing.counts, truth.height, truth.width)
    assert whole.any() and thing.name == thing.name.lower() and len(thing.parts) == 1
    for part in thing.parts:
        mask = masks.decode_one(part.counts, truth.height, truth.width)
        assert mask.any() and not (mask & ~whole).any()


def test_every_reader_reports_an_image_without_annotation(
    annotated: tuple[Reader, str], load: Callable[[str], bytes]
) -> None:
    """A format with one file for all images gives None; with one file per image, that file is missing."""
    reader, key = annotated
    other = f"{key.rpartition('/')[0]}/other.png"
    if isinstance(reader, (CocoReader, PacoReader, ClassFileReader)):
        assert reader.read(other, load) is None
    else:
        with pytest.raises(ImageFault, match=r"missing_file: .*other"):
            reader.read(other, load)
