"""The card beside an exported model: its numbers are those of the store, and its code runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from pdstore import Store
from pdstore.selection import open_selection
from schemas.catalog import catalog_of
from stages.exchange.networks.export import export_model
from stages.exchange.networks.model_card import model_card
from stages.exchange.networks.trained_model import model_in_folder, model_of_node
from stages.models.inference import Inference
from stages.plan.project import Project
from stages.training_place import TrainingPlace

SIZE = (96, 64)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code_of_models: None) -> Path:
    """A folder to export to, which becomes the current one."""
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    return tmp_path / "out"


def block(folder: Path, name: str) -> str:
    (found,) = re.findall(rf"```{name}\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    return str(found)


def run(folder: Path) -> tuple[dict[str, Any], np.ndarray]:
    """What the code of the card leaves, and the picture that it was run on."""
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "picture.jpg", quality=100, subsampling=0)
    names: dict[str, Any] = {}
    exec(compile(block(folder, "python"), "README.md", "exec"), names)
    return names, np.asarray(Image.open(folder / "picture.jpg"))


def test_the_code_of_a_class_specific_model_finds_its_parts(finished: Store, folder: Path) -> None:
    """Its chances are those of this program for the same class, whether the folder has all classes or one."""
    project = Project.open(finished)
    name = model_of_node(project, "distill").object_names[0]
    for classes in ([], [name]):
        export_model(project, "distill", folder, classes=classes)
        names, pixels = run(folder)
        model = model_in_folder(folder)
        (found,) = Inference(model.network, "cpu", 0).queries([pixels], [model.slot(name)])
        masks = np.concatenate([stack for _, stack in found.masks(range(len(found.classes)))])
        expected = np.tensordot(found.classes[:, :-1].T, masks, 1)
        assert names["chances"].shape == expected.shape and names["parts"].shape == SIZE
        np.testing.assert_allclose(names["chances"].numpy(), expected, atol=1e-4)
        for path in folder.iterdir():
            path.unlink()


def test_the_code_of_a_proposal_model_finds_masks(finished: Store, folder: Path) -> None:
    """Its scores and masks are those of this program."""
    export_model(Project.open(finished), "proposal-train", folder)
    names, pixels = run(folder)
    (found,) = Inference(model_in_folder(folder).network, "cpu", 0).queries([pixels])
    np.testing.assert_allclose(names["scores"].numpy(), 1 - found.classes[:, -1], atol=1e-4)
    assert names["masks"].shape == (len(found.classes), *SIZE) and names["masks"].dtype.is_floating_point is False


def test_the_code_of_an_onnx_file_runs_it(finished: Store, folder: Path) -> None:
    """Its class logits are those of the network for the card's object class."""
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    project = Project.open(finished)
    export_model(project, "distill", folder, "onnx")
    names, pixels = run(folder)
    model = model_of_node(project, "distill")
    found = Inference(model.network, "cpu", 0).queries([pixels], [0])[0]
    logits = np.exp(names["class_logits"][0])
    np.testing.assert_allclose(logits / logits.sum(-1, keepdims=True), found.classes, atol=1e-4)


def test_the_card_says_what_the_store_knows(finished: Store, folder: Path) -> None:
    """Scores with their protocol, the number of images, the settings of training and inference, and the classes."""
    project = Project.open(finished)
    export_model(project, "distill-train", folder)
    text = (folder / "README.md").read_text()
    sql = "SELECT metric, value FROM metrics WHERE evaluated = 'distill' AND class_name = '' AND metric = 'C-mIoU'"
    value = catalog_of(finished).query(sql).to_pylist()[0]["value"]
    (row,) = [line.split(" | ") for line in text.splitlines() if line.startswith("| distill | honest | ")]
    (head,) = [line.split(" | ") for line in text.splitlines() if line.startswith("| node | protocol | ")]
    assert row[head.index("C-mIoU")] == f"{value:.1f}"
    place = TrainingPlace(finished, "distill-train", project.shown("distill-train").fingerprint)
    assert f"- trained on {len(open_selection(finished, place.selection))} images" in text
    settings = yaml.safe_load(block(folder, "yaml"))
    assert settings["training"]["steps"] == 4 and settings["inference"]["threshold"] == 0
    assert "input `labels`: `labels` (stage `labels`, " in text
    front = yaml.safe_load(text.split("---")[1])
    assert front["library_name"] == "transformers" and front["pipeline_tag"] == "image-segmentation"
    model = model_of_node(project, "distill-train")
    assert all(name in text for name in model.object_names)
    node = project["distill-train"]
    assert model_card(project, node, model).decode() == text


def test_a_model_that_was_not_evaluated_says_so(finished: Store) -> None:
    """There is no table without numbers."""
    project = Project.open(finished)
    card = model_card(project, project["segmenter"], model_of_node(project, "segmenter")).decode()
    assert "has not been evaluated" in card and "## Labels" in card
