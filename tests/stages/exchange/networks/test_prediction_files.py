"""Answers as COCO JSON, label maps and coloured pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from pdstore import masks
from pdstore.errors import UsageError
from stages.exchange.networks.picture_list import PictureFile
from stages.exchange.networks.picture_run import Answer, LeftOut
from stages.exchange.networks.prediction_files import (
    CATEGORIES_NAME,
    CocoFile,
    LabelMaps,
    Overlays,
    check_place,
    result_file,
)

NAMED = [("dog: part 0", "dog"), ("dog: part 1", "dog"), ("dog: part 2", "dog")]
SIZE = (6, 8)
STACK = np.zeros((2, *SIZE), bool)
STACK[0, :4, :5], STACK[1, 2:, 3:] = True, True


@pytest.fixture
def picture(tmp_path: Path) -> PictureFile:
    Image.new("RGB", SIZE[::-1], (200, 200, 200)).save(tmp_path / "1.png")
    return PictureFile(tmp_path / "1.png", "dogs/1.png")


def answer(number: int = 0, labels: tuple[int, ...] = (2, 0)) -> Answer:
    scores = np.array([0.75, 0.5])[: len(labels)]
    return Answer(number, SIZE, np.array(labels, np.int64), scores, masks.encode(STACK[: len(labels)]))


def lost(picture: PictureFile) -> list[tuple[PictureFile, LeftOut]]:
    return [(PictureFile(picture.path, "x.png"), LeftOut(1, "damaged", 'broken "here"'))]


def left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_coco_is_read_by_pycocotools(picture: PictureFile, tmp_path: Path) -> None:
    """Masks, boxes, areas, scores and categories are those of the answers; what was left out is under info."""
    out = tmp_path / "out.json"
    file = CocoFile(out, NAMED, "model")
    file.add(picture, answer())
    file.add(PictureFile(picture.path, "dogs/3.png"), answer(2, ()))
    assert not out.exists()
    file.commit(lost(picture))
    assert not left_behind(tmp_path)
    coco = COCO(str(out))
    assert [(i["id"], i["file_name"], i["height"], i["width"]) for i in coco.loadImgs(coco.getImgIds())] == [
        (1, "dogs/1.png", 6, 8), (3, "dogs/3.png", 6, 8)
    ]  # fmt: skip
    found = coco.loadAnns(coco.getAnnIds())
    assert [(a["image_id"], a["category_id"], a["score"], a["area"]) for a in found] == [
        (1, 3, 0.75, 20), (1, 1, 0.5, 20)
    ]  # fmt: skip
    assert [a["bbox"] for a in found] == [[0, 0, 5, 4], [3, 2, 5, 4]]
    assert np.array_equal(np.stack([coco.annToMask(a) for a in found]), STACK)
    assert coco.loadCats([2]) == [{"id": 2, "name": "dog: part 1", "supercategory": "dog"}]
    expected = {"file_name": "x.png", "reason": "damaged", "detail": 'broken "here"'}
    assert json.loads(out.read_text())["info"]["left_out"] == [expected]


def test_label_maps_have_the_ids_of_categories(picture: PictureFile, tmp_path: Path) -> None:
    """Where masks overlap, the first is on top; more than 255 labels need 16 bits, and more than 65,535 are refused."""
    file = LabelMaps(tmp_path / "out", NAMED, "model")
    file.add(picture, answer())
    file.commit(lost(picture))
    expected = np.where(STACK[0], 3, np.where(STACK[1], 1, 0))
    labels = np.asarray(Image.open(tmp_path / "out" / "dogs" / "1.png.png"))
    assert labels.dtype == np.uint8 and np.array_equal(labels, expected)
    meant = json.loads((tmp_path / "out" / CATEGORIES_NAME).read_text())
    assert meant["categories"][2] == {"id": 3, "name": "dog: part 2"} and meant["left_out"][0]["reason"] == "damaged"
    many = LabelMaps(tmp_path / "many", NAMED * 100, "model")
    many.add(picture, answer(labels=(299,)))
    many.commit([])
    assert np.asarray(Image.open(tmp_path / "many" / "dogs" / "1.png.png")).max() == 300
    with pytest.raises(UsageError, match="holds 65535 labels, and there are 65536"):
        LabelMaps(tmp_path / "more", [("", "")] * 65536, "model")
    assert not left_behind(tmp_path)


def test_overlays_colour_the_masks(picture: PictureFile, tmp_path: Path) -> None:
    """A pixel of a mask is coloured, one of none stays grey."""
    file = Overlays(tmp_path / "out", NAMED, "model")
    file.add(picture, answer(labels=(2,)))
    file.commit([])
    drawn = np.asarray(Image.open(tmp_path / "out" / "dogs" / "1.png.jpg")).astype(int)
    assert drawn.shape == (*SIZE, 3)
    spread = drawn.max(2) - drawn.min(2)
    assert spread[1, 1] > 40 > spread[5, 7]


def test_discarded_results_leave_nothing(picture: PictureFile, tmp_path: Path) -> None:
    """Nor does one that is discarded after it was committed lose anything."""
    before = set(tmp_path.iterdir())
    for name in ("out.json", "out"):
        file = result_file(tmp_path / name, NAMED, "model")
        file.add(picture, answer())
        file.discard()
    assert set(tmp_path.iterdir()) == before
    done = result_file(tmp_path / "out.json", NAMED, "model")
    done.commit([])
    done.discard()
    assert json.loads((tmp_path / "out.json").read_text())["annotations"] == []


def test_only_results_are_overwritten(picture: PictureFile, tmp_path: Path) -> None:
    """And only if that is asked for: a folder without categories.json is none of ours."""
    out, folder = tmp_path / "out.json", tmp_path / "folder"
    check_place(out, False)
    folder.mkdir()
    check_place(folder, False)
    (folder / "holiday.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match="this exists.*--overwrite"):
        check_place(folder, False)
    with pytest.raises(UsageError, match=r"expected a folder of results.*found something else"):
        check_place(folder, True)
    (folder / CATEGORIES_NAME).write_text("{}")
    check_place(folder, True)
    file = LabelMaps(folder, NAMED, "model")
    file.add(picture, answer())
    file.commit([])
    assert not (folder / "holiday.jpg").exists() and (folder / "dogs" / "1.png.png").exists()
    out.mkdir()
    with pytest.raises(UsageError, match="expected a file"):
        check_place(out, True)
    with pytest.raises(UsageError, match="mkdir -p"):
        check_place(tmp_path / "no" / "out.json", False)
    assert not left_behind(tmp_path)
