"""The stage that imports published weights, in a pipeline."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pdstore import Store
from pdstore.errors import InputMissing, PartlyFailed, PdError
from schemas.pipeline import PipelineSpec
from schemas.training import NetworkSettings
from stages.models.checkpoints import read_checkpoint
from stages.models.network import build
from stages.models.network_files import load_network, network_files, save_network
from stages.plan.pipeline import Pipeline
from stages.plan.project import Project
from stages.plan.states import node_state
from stages.registry import STAGES
from stages.run.runner import run_node
from stages.stage import PART_NAMES

DATA = Path(__file__).parents[2] / "data"
MASK2FORMER, DISTILLED = DATA / "mask2former_tiny.pkl", DATA / "part_distillation_tiny.pth"


def spec(**settings: Any) -> PipelineSpec:
    nodes = {
        "ingest": {},
        "mask2former": {"stage": "weights", "settings": settings},
        "grouping": {
            "inputs": {"images": "ingest", "objects": "detic", "model": "mask2former"},
            "settings": {"maps": [1, 2], "long_side": 64, "k": 2},
        },
        "detic": {"inputs": {"images": "ingest"}, "settings": {"backend": "saliency"}},
        "proposals": {
            "inputs": {"images": "ingest", "model": "mask2former"},
            "settings": {"min_score": 0.0, "long_side": 64},
        },
    }
    return PipelineSpec.parse({"block_size": 6, "nodes": nodes}, "pipeline")


@pytest.fixture
def make(classical: Callable[..., Store]) -> Callable[..., Store]:
    def store(**settings: Any) -> Store:
        return classical(spec=spec(**settings))

    return store


def test_a_pipeline_reads_published_weights_as_it_reads_a_trained_network(
    make: Callable[..., Store], run_all: Callable[..., None]
) -> None:
    """Grouping and proposals run on an official file; the node itself reads no image and writes safetensors."""
    store = make(file=str(MASK2FORMER), network={"preset": "tiny"})
    run_all(store)
    project = Project.open(store)
    for node in ("grouping", "proposals"):
        assert project.layer(node).units() == [0, 1]
    layer = project.layer("mask2former")
    assert layer.units() == [0]
    rows = layer.read(0)
    counted = dict(zip(rows["metric"].tolist(), rows["value"].tolist(), strict=True))
    official = read_checkpoint(str(MASK2FORMER)).network()
    assert counted["parameters"] == sum(p.numel() for p in official.parameters())
    network = load_network(Path(store.url) / layer.manifest(0).folder)
    assert all(torch.equal(v, network.state_dict()[name]) for name, v in official.state_dict().items())


def test_the_fingerprint_follows_the_content_of_the_file(tmp_path: Path) -> None:
    """Another path of the same bytes is the same layer; other bytes are another; the preset's name does not count."""
    copy = tmp_path / "renamed.pkl"
    shutil.copy(MASK2FORMER, copy)
    inferred = Pipeline(spec(file=str(MASK2FORMER)))["mask2former"].identity
    assert Pipeline(spec(file=str(copy)))["mask2former"].identity == inferred
    copy.write_bytes(copy.read_bytes() + b"\0")
    assert Pipeline(spec(file=str(copy)))["mask2former"].identity != inferred
    named = Pipeline(spec(file=str(copy), network={"preset": "tiny"}))["mask2former"].identity
    written = NetworkSettings(preset="tiny").model_dump(mode="json")
    assert Pipeline(spec(file=str(copy), network=written))["mask2former"].identity == named


def test_a_folder_is_weights_too_and_a_hub_name_stands_for_itself(tmp_path: Path) -> None:
    """The folder's content goes into the fingerprint, wherever it lies."""
    network = build(NetworkSettings(preset="tiny"), 3)
    for name in ("one", "two"):
        save_network(network, tmp_path / name)
    one, two = (Pipeline(spec(file=str(tmp_path / n)))["mask2former"].identity for n in ("one", "two"))
    assert one == two and len(one.weights["file"]) == 64
    hub = Pipeline(spec(file="no-such-org/no-such-name"))["mask2former"]
    assert hub.identity.weights["file"] == "hub: no-such-org/no-such-name"


def test_a_class_specific_head_may_be_of_other_classes(
    make: Callable[..., Store], run_all: Callable[..., None]
) -> None:
    """A head of five object classes can be imported into a store of two: its reader maps classes to slots."""
    store = make(file=str(DISTILLED), num_parts=8, network={"preset": "tiny"})
    run_all(store, ["mask2former"])
    config = json.loads((written(store) / "config.json").read_text())
    assert (config["num_objects"], config["num_classes"], config["network"]["normalize_queries"]) == (5, 8, True)


def test_the_part_names_of_a_taught_model_come_along(
    make: Callable[..., Store], run_all: Callable[..., None], tmp_path: Path
) -> None:
    """The parts.json of a folder is copied, so that predict can name parts; other sources have none."""
    save_network(build(NetworkSettings(preset="tiny"), 2), tmp_path / "taught")
    (tmp_path / "taught" / PART_NAMES).write_text('[["cat", "head"], ["", "leg"]]')
    taught, plain = make(file=str(tmp_path / "taught")), make(file=str(MASK2FORMER))
    run_all(taught, ["mask2former"])
    run_all(plain, ["mask2former"])
    assert (written(taught) / PART_NAMES).read_text() == '[["cat", "head"], ["", "leg"]]'
    assert not (written(plain) / PART_NAMES).exists()


def written(store: Store) -> Path:
    """The folder that the node has written."""
    fingerprint = Project.open(store)["mask2former"].fingerprint
    return Path(store.url) / store.layer("mask2former", fingerprint).manifest(0).folder


def test_a_file_that_is_not_there_stops_the_node_before_it_runs(make: Callable[..., Store]) -> None:
    """The pipeline can be planned without the file; running the node says what is missing."""
    store = make(file="/nowhere/model.pkl")
    project = Project.open(store)
    assert node_state(project, "mask2former").word == "not started"
    expected = r"/nowhere/model.pkl: no such file or folder \(is the disk mounted\?\), named by mask2former.file"
    with pytest.raises(InputMissing, match=expected):
        run_node(project, "mask2former")


def test_weights_of_another_network_fail_the_node(make: Callable[..., Store]) -> None:
    """The message says what does not fit, and nothing is committed."""
    store = make(file=str(MASK2FORMER), network={"preset": "tiny", "num_queries": 20})
    project = Project.open(store)
    with pytest.raises((PdError, PartlyFailed), match="setting num_queries 20, not 10"):
        run_node(project, "mask2former")
    assert project.layer("mask2former").units() == []


def test_weights_are_no_training_and_no_listing() -> None:
    """A stage that writes a network need not be a training; only ingest receives the listed images."""
    assert STAGES["weights"].writes_model and not STAGES["weights"].is_training
    assert all(stage.writes_model for stage in STAGES.values() if stage.is_training)
    assert [name for name, stage in STAGES.items() if stage.reads_listing] == ["ingest"]


def test_labels_come_along() -> None:
    """The names of classes are a third file, which the detector reads."""
    files = network_files(build(NetworkSettings(preset="tiny"), 2), ["cat", "dog"])
    assert json.loads(files["classes.json"]) == ["cat", "dog"]
