"""From a model and pictures to results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdstore.errors import PdError, StorageFailure, UsageError
from schemas.training import NetworkSettings
from stages.exchange.networks import predictions
from stages.exchange.networks.picture_list import PictureFile
from stages.exchange.networks.predictions import predict_pictures
from stages.models.network import build
from stages.models.part_model import PartModel
from stages.source.listing import ImageClass

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)
PETS = [ImageClass(0, "n1", "cat"), ImageClass(1, "n2", "dog"), ImageClass(2, "n3", "horse")]
ALL = {"threshold": 0.0, "long_side": 64}


@pytest.fixture
def files(tmp_path: Path) -> list[PictureFile]:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    return [PictureFile(tmp_path / f"{name}.png", f"{name}.png") for name in ("a", "b")]


def pets() -> PartModel:
    return PartModel(build(SMALL, 2, 3).eval(), "pets", PETS)


def test_each_picture_is_asked_about_its_class(files: list[PictureFile], tmp_path: Path) -> None:
    """The categories are those of the classes that are asked about, in the order in which they come."""
    predict_pictures(pets(), files, tmp_path / "out.json", classes=["horse", "n1"], changes=ALL)
    found = json.loads((tmp_path / "out.json").read_text())
    names = {one["id"]: one["name"] for one in found["categories"]}
    assert list(names.values()) == ["horse: part 0", "horse: part 1", "cat: part 0", "cat: part 1"]
    of = {n: {names[a["category_id"]][:3] for a in found["annotations"] if a["image_id"] == n} for n in (1, 2)}
    assert of == {1: {"hor"}, 2: {"cat"}}
    predict_pictures(pets(), files, tmp_path / "one.json", classes=["horse"], changes=ALL)
    one = json.loads((tmp_path / "one.json").read_text())
    assert [a for a in one["annotations"] if a["image_id"] == 1] == [
        a for a in found["annotations"] if a["image_id"] == 1
    ]


def test_a_class_is_needed_and_only_where_it_matters(files: list[PictureFile], tmp_path: Path) -> None:
    """A class-specific model names its classes; other models take none, and name parts on their own."""
    with pytest.raises(UsageError, match=r"depend on the class of the object.*--class NAME, one of: cat, dog, horse"):
        predict_pictures(pets(), files, tmp_path / "out.json")
    named = PartModel(build(SMALL, 2).eval(), "named", parts=[("cat", "head"), ("", "tail")])
    with pytest.raises(UsageError, match="answers for all object classes at once"):
        predict_pictures(named, files, tmp_path / "out.json", classes=["cat"])
    predict_pictures(named, files, tmp_path / "out.json", changes=ALL)
    found = json.loads((tmp_path / "out.json").read_text())["categories"]
    assert [(one["name"], one["supercategory"]) for one in found] == [("cat: head", "cat"), ("tail", "")]


def test_results_are_counted_and_faults_are_listed(files: list[PictureFile], tmp_path: Path) -> None:
    """Both results have what was found, and the picture that cannot be read."""
    (tmp_path / "bad.png").write_bytes(b"no")
    files = [PictureFile(tmp_path / "bad.png", "bad.png"), *files]
    model = PartModel(build(SMALL, 1).eval(), "proposals")
    changes = {"min_score": 0.0, "long_side": 64}
    done = predict_pictures(model, files, tmp_path / "maps", overlay=tmp_path / "drawn", changes=changes)
    assert done.pictures == 2 and done.found > 0 and [p.name for p, _ in done.left_out] == ["bad.png"]
    assert {p.name for p in (tmp_path / "maps").iterdir()} == {"a.png.png", "b.png.png", "categories.json"}
    assert {p.name for p in (tmp_path / "drawn").iterdir()} == {"a.png.jpg", "b.png.jpg", "categories.json"}


def test_a_failure_leaves_nothing(files: list[PictureFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither if no picture can be read, nor if the disk is full."""
    (tmp_path / "bad.png").write_bytes(b"no")
    before = set(tmp_path.iterdir())
    with pytest.raises(PdError, match=r"none of the 1 pictures can be used.*not_an_image"):
        predict_pictures(pets(), [PictureFile(tmp_path / "bad.png", "b")], tmp_path / "out", classes=["cat"])

    def full(*values: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(predictions.Overlays, "add", full)
    with pytest.raises(StorageFailure, match="No space left"):
        predict_pictures(pets(), files, tmp_path / "o.json", classes=["cat"], overlay=tmp_path / "d", changes=ALL)
    assert set(tmp_path.iterdir()) == before
