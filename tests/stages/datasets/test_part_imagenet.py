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
    """The file name is completed to the path of the image: in folders as published, without folders, or in ImageNet."""
    write_coco(tmp_path / "val.json", {f"{DOG}_7.JPEG": [(HEAD, SQUARE)]})
    photograph(tmp_path / place / f"{DOG}_7.JPEG")
    assert list(part_imagenet.images(tmp_path, "val")) == [(f"{place}{DOG}_7.JPEG", DOG)]


def test_a_missing_image_keeps_its_place(tmp_path: Path) -> None:
    """It is listed with the path that it should have, so that reading the images reports it."""
    write_coco(tmp_path / "annotations/val.json", {f"{DOG}_7.JPEG": [(HEAD, SQUARE)]})
    assert list(part_imagenet.images(tmp_path, "val")) == [(f"val/{DOG}/{DOG}_7.JPEG", DOG)]


def test_a_class_is_a_code_with_the_name_of_its_super_category(tmp_path: Path) -> None:
    """If annotations differ, the most frequent name counts; without annotations, the name is the code."""
    images = {f"{DOG}_1.JPEG": [(HEAD, SQUARE), (TAIL, SQUARE), (BODY, SQUARE)], f"{CAR}_1.JPEG": [(MIRROR, SQUARE)]}
    write_coco(tmp_path / "val.json", {**images, f"{CAT}_1.JPEG": []})
    write_coco(tmp_path / "test.json", {f"{CAT}_2.JPEG": [(TAIL, SQUARE), (99, SQUARE)]})
    assert part_imagenet.classes(tmp_path, ["val"]) == [(DOG, "quadruped"), (CAT, CAT), (CAR, "car")]
    assert dict(part_imagenet.classes(tmp_path, ["val", "test"]))[CAT] == "quadruped"
    assert dict(part_imagenet.classes(tmp_path, ["test", "val"]))[CAT] == "quadruped"


def test_the_reader_identifies_images_by_their_file_name(tmp_path: Path) -> None:
    """The folder does not matter, files of two splits add up, and objects are of the image's own class."""
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


def test_a_split_with_a_missing_or_broken_file_is_refused(tmp_path: Path) -> None:
    """The error names the file and says what to do."""
    with pytest.raises(UsageError, match=r"there is no val.json or annotations/val.json here.*--images DIR"):
        list(part_imagenet.images(tmp_path, "val"))
    (tmp_path / "val.json").write_text('{"images": [{"id": 1}], "categories": [], "annotations": []}')
    with pytest.raises(CorruptData, match=r"val.json: the file is not COCO JSON .*\(KeyError: 'file_name'\)"):
        list(part_imagenet.images(tmp_path, "val"))
