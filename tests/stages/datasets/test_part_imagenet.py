from __future__ import annotations

from pathlib import Path

import pytest

from pdstore.errors import CorruptData, UsageError
from stages.datasets import part_imagenet
from tests.stages.datasets.published import photograph, polygon, write_coco

DOG, CAT, CAR = "n02085620", "n02123045", "n02701002"
HEAD, TAIL, BODY, MIRROR = range(4)
SQUARE = [polygon(0, 0, 4, 4)]


@pytest.mark.parametrize(
    "place", [f"val/{DOG}/", "val/", f"images/val/{DOG}/", "images/val/", f"train/{DOG}/"], ids=lambda place: place
)
def test_the_missing_folder_of_the_class_is_found(place: str, tmp_path: Path) -> None:
    """The file name is completed to where the image is: published in folders or not, or ImageNet itself."""
    write_coco(tmp_path / "val.json", {f"{DOG}_7.JPEG": [(HEAD, SQUARE)]})
    photograph(tmp_path / place / f"{DOG}_7.JPEG")
    assert list(part_imagenet.images(tmp_path, "val")) == [(f"{place}{DOG}_7.JPEG", DOG)]


def test_an_image_that_is_nowhere_keeps_its_place(tmp_path: Path) -> None:
    """It is listed where it should be, so that reading the images names it."""
    write_coco(tmp_path / "annotations/val.json", {f"{DOG}_7.JPEG": [(HEAD, SQUARE)]})
    assert list(part_imagenet.images(tmp_path, "val")) == [(f"val/{DOG}/{DOG}_7.JPEG", DOG)]


def test_a_class_is_a_code_with_the_name_of_its_super_category(tmp_path: Path) -> None:
    """The most frequent one where annotations differ; the code itself where there is none."""
    images = {f"{DOG}_1.JPEG": [(HEAD, SQUARE), (TAIL, SQUARE), (BODY, SQUARE)], f"{CAR}_1.JPEG": [(MIRROR, SQUARE)]}
    write_coco(tmp_path / "val.json", {**images, f"{CAT}_1.JPEG": []})
    write_coco(tmp_path / "test.json", {f"{CAT}_2.JPEG": [(TAIL, SQUARE), (99, SQUARE)]})
    assert part_imagenet.classes(tmp_path, ["val"]) == [(DOG, "quadruped"), (CAT, CAT), (CAR, "car")]
    assert dict(part_imagenet.classes(tmp_path, ["val", "test"]))[CAT] == "quadruped"
    assert dict(part_imagenet.classes(tmp_path, ["test", "val"]))[CAT] == "quadruped"


def test_the_reader_knows_images_by_their_file_name(tmp_path: Path) -> None:
    """Whatever folder they lie in, the files of two splits together; their objects are of the image's own class."""
    write_coco(tmp_path / "val.json", {f"{DOG}_1.JPEG": [(HEAD, SQUARE)]})
    write_coco(tmp_path / "test.json", {f"{CAR}_1.JPEG": [(MIRROR, SQUARE)]})
    reader = part_imagenet.reader([tmp_path / "val.json", tmp_path / "test.json"])
    for key, thing, part in (
        (f"val/{DOG}/{DOG}_1.JPEG", "quadruped", "head"),
        (f"x/{CAR}_1.JPEG", "car", "side mirror"),
    ):
        truth = reader.read(key, lambda path: b"")
        assert truth is not None and truth.is_own_class
        assert [(t.name, p.name) for t in truth.objects for p in t.parts] == [(thing, part)]


def test_a_split_without_its_file_or_with_a_broken_one_is_said(tmp_path: Path) -> None:
    """What is missing is named, and what to do."""
    with pytest.raises(UsageError, match=r"there is no val.json or annotations/val.json here.*--images DIR"):
        list(part_imagenet.images(tmp_path, "val"))
    (tmp_path / "val.json").write_text('{"images": [{"id": 1}], "categories": [], "annotations": []}')
    with pytest.raises(CorruptData, match=r"val.json: the file is not COCO JSON .*\(KeyError: 'file_name'\)"):
        list(part_imagenet.images(tmp_path, "val"))
