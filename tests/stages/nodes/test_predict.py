"""Which classes are predicted in an image, and with which rows of a class-specific head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pdstore import Rows, masks
from pdstore.errors import UsageError
from schemas.stages import CrfSettings, PredictSettings
from schemas.tables import OBJECTS
from schemas.training import NetworkSettings
from stages.models import answers
from stages.models.network import build
from stages.models.network_files import network_files
from stages.nodes import predict
from stages.source.listing import ImageClass
from stages.stage import PART_NAMES
from stages.unit import Unit

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)
PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
ALL = {"threshold": 0.0, "long_side": 0}


def model(folder: Path, num_objects: int, parts: list[tuple[str, str]] | None = None) -> Path:
    """A network of random weights with two parts per object class, or with the named parts."""
    network = build(SMALL, len(parts) if parts else 2, num_objects)
    folder.mkdir()
    for name, content in network_files(network).items():
        (folder / name).write_bytes(content)
    if parts:
        (folder / PART_NAMES).write_text(json.dumps(parts))
    return folder


def outline(object_id: int, category: int) -> dict[str, Any]:
    mask = np.ones((32, 32), bool)
    frame = {"height": 32, "width": 32, "rle": masks.encode(mask[None])[0], "area": 1024, "score": 1.0}
    return {"image_id": 0, "object_id": object_id, "category_id": category, "category_name": "", **frame}


def run(bench, folder: Path, objects: list[dict[str, Any]] | None = None, **settings: Any) -> tuple[Rows, list[str]]:
    """The rows, and the reasons of the rows of errors."""
    unit, rows = run_unit(bench, folder, objects, **settings)
    return rows, unit.errors()["reason"].tolist()


def run_unit(bench, folder: Path, objects: list[dict[str, Any]] | None = None, **settings: Any) -> tuple[Unit, Rows]:
    files = {"slots": Path(settings["slots"])} if "slots" in settings else {}
    process = predict.start(PredictSettings(**ALL, **settings), bench.setup(models={"model": folder}, files=files))
    roles = {"images": bench.store.layers("images")[0]}
    if objects is not None:
        existing = bench.store.layers("objects")
        roles["objects"] = existing[0] if existing else bench.put("objects", OBJECTS, objects)
    unit = bench.unit(**roles)
    return unit, process(unit).rows


@pytest.fixture
def crowd(bench):
    """One image that has no class, in a store of cats and dogs."""
    bench.classes = (*bench.classes, ImageClass(-1, "", ""))
    bench.images(PICTURE, classes=[2])
    bench.classes = bench.classes[:2]
    return bench


def test_each_class_among_the_objects_is_predicted_once(crowd, tmp_path: Path) -> None:
    """Rows have the lowest object_id of their class; an object outside the vocabulary has no parts."""
    rows, reasons = run(crowd, model(tmp_path / "m", 2), [outline(0, -1), outline(1, 1), outline(2, 1), outline(3, 0)])
    assert {*zip(rows["object_id"].tolist(), rows["category_id"].tolist(), strict=True)} == {(1, 1), (3, 0)}
    assert reasons == [] and set(rows["part_name"]) == {""}


def test_an_object_without_a_slot_is_not_its_image(crowd, tmp_path: Path) -> None:
    """The image keeps its other objects; it is left out if none of its objects has a slot."""
    slots = tmp_path / "slots.txt"
    slots.write_text("wolf\ncat\n")
    folder, things = model(tmp_path / "m", 2), [outline(0, 0), outline(1, 1)]
    unit, rows = run_unit(crowd, folder, things, slots=str(slots))
    assert set(rows["category_id"]) == {0} and unit.left_out == {"object": 1} and unit.num_rejected() == 0
    slots.write_text("wolf\nfox\n")
    unit, rows = run_unit(crowd, folder, things, slots=str(slots))
    assert len(rows) == 0 and unit.left_out == {} and unit.num_rejected() == 1


def test_an_image_without_class_and_objects_is_left_out(crowd, tmp_path: Path) -> None:
    """It becomes a row of errors that says what is missing."""
    rows, reasons = run(crowd, model(tmp_path / "m", 2))
    assert len(rows) == 0 and reasons == ["no_class"]


def test_slots_say_which_rows_of_the_head_are_a_class(bench, tmp_path: Path) -> None:
    """By code or by name, whatever its case; a class that is not named is an error row of its images."""
    bench.images(PICTURE, PICTURE, classes=[0, 1])
    folder, slots = model(tmp_path / "m", 3), tmp_path / "labels.txt"
    slots.write_text("n00000009,tench\nn00000001,tabby\n")
    by_code, reasons = run(bench, folder, slots=str(slots))
    assert set(by_code["image_id"]) == {0} and reasons == ["no_slot"]
    slots.write_text("wolf\nCAT\n")
    by_name, _ = run(bench, folder, slots=str(slots))
    assert (by_name["area"] == by_code["area"]).all()
    slots.write_text("cat\n", encoding="utf-8-sig")
    assert (run(bench, folder, slots=str(slots))[0]["score"] != by_code["score"]).any()


def test_a_head_of_other_classes_is_refused(bench, tmp_path: Path) -> None:
    """Unless slots says which class is which, for no more classes than the head has."""
    bench.images(PICTURE)
    folder, slots = model(tmp_path / "m", 3), tmp_path / "labels.txt"
    with pytest.raises(UsageError, match=r"head is for 3 classes, but the store has 2.*slots=FILE"):
        run(bench, folder)
    slots.write_text("a\nb\nc\nd\n")
    with pytest.raises(UsageError, match="the head has 3 classes, but this file lists 4"):
        run(bench, folder, slots=str(slots))


def test_a_supervised_model_names_parts(crowd, tmp_path: Path) -> None:
    """Among objects of several classes each gets the parts of its own; shared names go to all."""
    objects = [outline(0, 0), outline(1, 1)]
    own, _ = run(crowd, model(tmp_path / "own", 0, [("cat", "head"), ("dog", "head")]), objects)
    named = {*zip(own["category_id"].tolist(), own["part_name"], strict=True)}
    assert named and named <= {(0, "cat head"), (1, "dog head")}
    shared, _ = run(crowd, model(tmp_path / "shared", 0, [("", "head"), ("", "leg")]), objects)
    of_cat, of_dog = (set(shared["part_name"][shared["category_id"] == c]) for c in (0, 1))
    assert of_cat == of_dog and of_cat <= {"head", "leg"} and of_cat


def test_averaging_with_the_mirror_image_changes_scores(bench, tmp_path: Path) -> None:
    """flip=true averages the chances of the image and of its mirror image."""
    bench.images(PICTURE)
    folder = model(tmp_path / "m", 2)
    once, twice = run(bench, folder)[0], run(bench, folder, flip=True)[0]
    assert once["score"].tolist() != twice["score"].tolist()


def test_a_crf_moves_borders_to_the_edges_of_the_image(bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts stay disjoint, a part without pixels is dropped, and shares of the object are computed last."""
    picture = np.full((32, 32, 3), 30, np.uint8)
    picture[:, 13:] = 220
    chance = np.zeros((3, 32, 32), np.float32)
    chance[0, :, :11], chance[2, :, 11:] = 0.8, 0.7  # the true border lies at 13
    chance[1, 4, 20] = 0.9  # a speck
    bench.images(picture)
    folder = model(tmp_path / "m", 2)
    monkeypatch.setattr(answers, "chances", lambda found: torch.from_numpy(chance))
    rough, _ = run(bench, folder)
    smooth, _ = run(bench, folder, crf=CrfSettings(bilateral_sxy=10, bilateral_srgb=20, long_side=0))
    assert rough["cluster"].tolist() == [0, 1, 2] and rough["area"].tolist() == [11 * 32, 1, 21 * 32 - 1]
    assert smooth["cluster"].tolist() == [0, 2] and smooth["area"].tolist() == [13 * 32, 19 * 32]
    assert smooth["object_ratio"].tolist() == pytest.approx([13 / 32, 19 / 32])
    assert smooth["score"].tolist() == pytest.approx([0.8 * 11 / 13, 0.7])
