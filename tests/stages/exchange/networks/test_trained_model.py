"""The models of a store's nodes and of folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pdstore import Store
from pdstore.errors import CorruptData, InputMissing, UsageError
from schemas.pipeline import NodeSpec
from schemas.training import NetworkSettings
from stages.exchange.networks.trained_model import model_in_folder, model_of_node, readers, trained_node
from stages.models.exported import exported_files
from stages.models.network import build
from stages.models.network_files import save_network, write_files
from stages.models.part_model import PartModel
from stages.plan.project import Project

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)
DATA = Path(__file__).parents[3] / "data"


def test_a_training_and_what_runs_it_are_one_model(finished: Store) -> None:
    """Both have the settings of the node that runs it, and the classes of the store."""
    project = Project.open(finished)
    trained, run = (model_of_node(project, name) for name in ("distill-train", "distill"))
    assert trained.kind == run.kind == "parts of a class" and trained.source == f"{finished.url}#distill-train"
    assert trained.settings == run.settings == project["distill"].settings.identity()
    assert trained.object_names == [c.name for c in project.listing.classes()] and trained.trained_px == 96
    assert model_of_node(project, "proposals").kind == "proposals"
    segmenter = model_of_node(project, "segmenter")
    assert segmenter.kind == "objects" and set(trained.object_names) <= set(segmenter.label_names())
    assert [node.name for node in readers(project, "distill-train")] == ["distill"]
    with pytest.raises(UsageError, match=r"found one of stage ingest.*segmenter.*distill"):
        trained_node(project, "ingest")


def test_a_node_that_was_not_run_has_no_model(copy_store: Callable[..., Store]) -> None:
    """The error says which command runs it."""
    with pytest.raises(InputMissing, match="Run: pd stage run distill-train"):
        model_of_node(Project.open(copy_store("distill-train")), "distill")


def test_imported_weights_have_the_classes_that_slots_names(
    classical: Callable[..., Store], run_all: Callable[..., None], tmp_path: Path
) -> None:
    """Without it and with another number of classes than the store's they have numbers."""
    slots = tmp_path / "slots.txt"
    slots.write_text("n1,cat\nn2\nn3,dog\n")
    file = str(DATA / "part_distillation_tiny.pth")
    store = classical()
    weights = {"official": NodeSpec(stage="weights", settings={"file": file, "num_parts": 8})}
    Project.open(store).extended(weights).record()
    run_all(store, ["official"])
    assert model_of_node(Project.open(store), "official").object_names == [f"class {n}" for n in range(5)]
    inputs = {"images": ("ingest",), "model": ("official",)}
    runner = {"found": NodeSpec(stage="predict", inputs=inputs, settings={"slots": str(slots)})}
    Project.open(store).extended(runner).record()
    model = model_of_node(Project.open(store), "official")
    assert model.object_names == ["cat", "n2", "dog", "class 3", "class 4"] and model.slot("n1") == 0


def test_folders_of_this_program_are_models(tmp_path: Path) -> None:
    """One that was converted, and one that was exported; other folders are refused with a remedy."""
    save_network(build(SMALL, 2, 3), tmp_path / "own")
    (tmp_path / "named").mkdir()
    save_network(build(SMALL, 2), tmp_path / "named")
    (tmp_path / "named" / "parts.json").write_text(json.dumps([["cat", "head"], ["cat", "tail"]]))
    write_files(exported_files(PartModel(build(SMALL, 1).eval(), "")), tmp_path / "exported")
    assert model_in_folder(tmp_path / "own").object_names == ["class 0", "class 1", "class 2"]
    assert model_in_folder(tmp_path / "named").label_names() == ["cat: head", "cat: tail"]
    assert model_in_folder(tmp_path / "exported").kind == "proposals"
    with pytest.raises(InputMissing, match=r"has no config.json.*STORE#NODE"):
        model_in_folder(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CorruptData, match="not valid JSON"):
        model_in_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="pd weights convert FOLDER"):
        model_in_folder(tmp_path)
