"""PACO-LVIS on files in its published format: what is listed, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pdstore.errors import CorruptData, InputMissing, UsageError
from stages.datasets import paco as module
from stages.datasets.paco_json import PacoReader
from stages.source.listing import Listed
from stages.unit import Coverage
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


def listed(*keys: str) -> list[Listed]:
    return [Listed(number, key, "val", "") for number, key in enumerate(keys)]


def test_it_is_counted_what_a_file_and_a_store_have_in_common(tmp_path: Path) -> None:
    """Images that are listed, those of them in the store, annotations, and annotations of no listed image."""
    other = "val2017/000000000009.jpg"
    write_paco(tmp_path / "a.json", {FILE: [paco(1, DOG, 1, BODY), paco(2, DOG, 2, BODY, image_id=77)], other: []})
    found = PacoReader([tmp_path / "a.json"]).match(listed(KEY, "coco/train2017/5.jpg"))
    assert found == Coverage(images=2, in_store=1, annotations=2, strays=1)


def test_a_file_of_another_store_is_one_error(tmp_path: Path) -> None:
    """If no image that it lists is there, or no annotation has the id of one, nothing is read as "no parts"."""
    write_paco(tmp_path / "a.json", {FILE: [paco(1, DOG, 1, BODY, image_id="1")]})
    reader = PacoReader([tmp_path / "a.json"])
    with pytest.raises(InputMissing, match=f"none of the 1 images .* for example, '{FILE}', and the store 'b/7.jpg'"):
        reader.match(listed("b/7.jpg"))
    with pytest.raises(InputMissing, match="none of the 1 annotations belongs to an image that the file lists"):
        reader.match(listed(KEY))


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
