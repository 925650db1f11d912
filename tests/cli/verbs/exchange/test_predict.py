"""``pd predict`` on folders of exported weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.training import NetworkSettings
from stages.models.exported import exported_files
from stages.models.network import build
from stages.models.network_files import write_files
from stages.models.part_model import PartModel
from stages.source.listing import ImageClass
from tests.cli.conftest import Pd, assert_error

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)
DATA = Path(__file__).parents[3] / "data"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a model of the parts of cats and dogs."""
    pets = [ImageClass(0, "n1", "cat"), ImageClass(1, "n2", "dog")]
    one = PartModel(build(SMALL, 2, 2).eval(), "", pets, settings={"threshold": 0.0, "long_side": 64})
    write_files(exported_files(one), tmp_path / "model")
    return tmp_path / "model"


def test_pictures_become_a_coco_file(pd: Pd, model: Path, photos: Path, tmp_path: Path) -> None:
    """The path goes to stdout; the classes are those of the folders, or one for all."""
    out = tmp_path / "out.json"
    result = pd("predict", model, photos, "--class-by-folder", "--out", out)
    assert result.code == 0 and result.out == f"{out}\n" and "masks in 6 pictures" in result.err
    found = json.loads(out.read_text())
    assert [one["file_name"] for one in found["images"]][:2] == ["cat/0.png", "cat/2.png"]
    assert {one["supercategory"] for one in found["categories"]} == {"cat", "dog"}
    assert_error(pd("predict", model, photos, "--class", "dog", "--out", out), 2, "this exists", "--overwrite")
    assert pd("predict", model, photos, "--class", "dog", "--out", out, "--overwrite").code == 0
    assert {one["supercategory"] for one in json.loads(out.read_text())["categories"]} == {"dog"}


def test_pictures_that_cannot_be_read_are_listed(pd: Pd, model: Path, photos: Path, tmp_path: Path) -> None:
    """The exit code is 4, and the result has the others."""
    (photos / "cat" / "bad.png").write_bytes(b"no picture")
    result = pd("predict", model, photos, "--class", "cat", "--out", tmp_path / "maps", "--overlay", tmp_path / "drawn")
    assert result.code == 4 and result.out == f"{tmp_path / 'maps'}\n"
    assert f"{photos / 'cat' / 'bad.png'}: not_an_image: " in result.err and "left out: 1 of 7 pictures" in result.err
    for name, suffix in (("maps", "png"), ("drawn", "jpg")):
        assert len(list((tmp_path / name).rglob(f"*.png.{suffix}"))) == 6


def test_the_settings_of_the_model_may_be_changed(pd: Pd, model: Path, photos: Path, tmp_path: Path) -> None:
    """Only parts that are as large as the picture are left, here; nested settings have dots."""
    words = ("predict", model, photos, "--class", "cat", "--out", tmp_path / "out.json", "--overwrite")

    def areas(*changes: str) -> list[int]:
        assert pd(*words, *(word for change in changes for word in ("--set", change))).code == 0
        return [one["area"] for one in json.loads((tmp_path / "out.json").read_text())["annotations"]]

    least = 0.5 * 48 * 48
    assert min(areas()) < least < min(areas("min_area_ratio=0.5"))
    assert min(areas("min_area_ratio=0.5", "crf.iterations=1", "long_side=96")) > 0
    assert_error(pd(*words, "--set", "threshold=2"), 2, "settings.threshold")
    assert_error(pd(*words, "--set", "threshold"), 2, "expected KEY=VALUE")


def test_a_node_of_a_store_is_a_model(pd: Pd, store: Path, photos: Path, tmp_path: Path) -> None:
    """By STORE#NODE or by the name of a node of --store; another node is refused."""
    file = DATA / "part_distillation_tiny.pth"
    words = ("--stage", "weights", f"official.file={file}", "official.num_parts=8")
    assert pd("node", "add", "official", *words).code == 0 and pd("run", "official").code == 0
    out = ("--set", "long_side=64", "--set", "threshold=0", "--class", "class 3", "--out")
    for number, name in enumerate(("official", f"{store}#official")):
        assert pd("predict", name, photos / "cat", *out, tmp_path / f"{number}.json").code == 0
    assert (tmp_path / "0.json").read_bytes() == (tmp_path / "1.json").read_bytes()
    categories = json.loads((tmp_path / "0.json").read_text())["categories"]
    assert [one["name"] for one in categories] == [f"class 3: part {part}" for part in range(8)]
    assert_error(pd("predict", "detic", photos, *out, tmp_path / "2.json"), 2, "expected a node with a network")


def test_wrong_words_are_usage_errors(pd: Pd, model: Path, photos: Path, tmp_path: Path) -> None:
    """A picture that is not there, an unknown class, both ways to name it, or a folder that is no model."""
    out = ("--out", tmp_path / "out.json")
    assert_error(pd("predict", model, tmp_path / "x.jpg", *out, "--class", "cat"), 2, "no image file has this name")
    assert_error(pd("predict", model, photos, *out, "--class", "horse"), 2, "no object class 'horse'")
    assert_error(pd("predict", model, photos, *out, "--class", "cat", "--class-by-folder"), 2, "found both")
    assert_error(pd("predict", model, photos, *out), 2, "one of: cat, dog")
    assert_error(pd("predict", photos, photos, *out), 1, "config.json")
    assert not (tmp_path / "out.json").exists()
