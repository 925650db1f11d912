"""PACO-LVIS on files in its published format: what is listed, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pdstore.errors import CorruptData, UsageError
from stages.datasets import paco as module
from stages.datasets.paco_json import PacoReader
from tests.stages.datasets.published import box, compressed, paco, photograph, write_paco

FILE, KEY = "train2017/000000000001.jpg", "coco/train2017/000000000001.jpg"
DOG, BODY = 400, compressed(box(2, 2, 10, 8))


@pytest.mark.parametrize(
    "listed", [FILE, f"./{FILE}", f"/data/coco/{FILE}", f"http://x.org/{FILE}", r"D:\coco\train2017\000000000001.jpg"]
)
def test_what_precedes_folder_and_name_does_not_matter(listed: str, tmp_path: Path) -> None:
    """file_name may have a prefix of another machine, and the folder of COCO may lie deeper in the image folder."""
    write_paco(tmp_path / "paco_lvis_v1_val.json", {listed: [paco(1, DOG, 1, BODY)]})
    photograph(tmp_path / KEY)
    assert list(module.images(tmp_path, "val")) == [(KEY, "")]
    reader = PacoReader([tmp_path / "paco_lvis_v1_val.json"])
    assert reader.read(KEY, lambda name: b"") is not None
    assert reader.read("coco/val2017/000000000001.jpg", lambda name: b"") is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [{"id": 1, "file_name": "x/a.jpg"}, {"id": 1, "file_name": "x/b.jpg"}]}, "the id 1 stands twice"),
        ({"categories": [{"id": 1, "name": "dog"}, {"id": 1, "name": "cat"}]}, "the id 1 stands twice, for dog and"),
        ({"images": [{"id": 1, "file_name": "../../secret.jpg", "height": 1, "width": 1}]}, "the file_name '../../sec"),
        ({"annotations": None}, "not COCO JSON"),
        ({"categories": [{"id": 1}]}, "not COCO JSON"),
    ],
)
def test_a_file_that_contradicts_itself_is_one_error(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Listing it and reading it fail the same way, with the name of the file."""
    path = tmp_path / "paco_lvis_v1_val.json"
    write_paco(path, {FILE: []}, changes)
    with pytest.raises(CorruptData, match=message) as listed:
        list(module.images(tmp_path, "val"))
    with pytest.raises(CorruptData, match=message):
        PacoReader([path])
    assert str(path) in str(listed.value)


def test_classes_are_the_objects_in_the_order_of_their_ids(tmp_path: Path) -> None:
    """Parts are no classes; the code is the published name, the name is in words."""
    for split, place in (("train", "annotations/"), ("val", "")):
        write_paco(tmp_path / f"{place}paco_lvis_v1_{split}.json", {FILE: []})
    assert module.classes(tmp_path, ["train", "val"]) == [
        ("trash_can", "trash can"),
        ("car_(automobile)", "car (automobile)"),
        ("dog", "dog"),
    ]
    assert module.settings(tmp_path, ["train", "val"]) == {
        "format": "paco",
        "file": ["{images}/annotations/paco_lvis_v1_train.json", "{images}/paco_lvis_v1_val.json"],
    }
    with pytest.raises(UsageError, match=r"there is no paco_lvis_v1_test.json or annotations/paco.*--images DIR"):
        module.settings(tmp_path, ["test"])
