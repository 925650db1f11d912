"""The preset ``hub``: everything by name and revision, run on tiny networks in a folder that stands for the hub."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Mask2FormerForUniversalSegmentation

from pdstore import Store
from schemas.pipeline import SourceSpec
from schemas.training import NetworkSettings
from stages.create.store import create_store
from stages.models.architecture import config
from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.runner import run_node
from tests.configs.conftest import draw_photographs

NAMES = {
    ("mask2former", "file"): "facebook/mask2former-swin-large-coco-instance",
    ("detic", "weights"): "IDEA-Research/grounding-dino-base",
    ("detic", "segmenter"): "facebook/sam2.1-hiera-large",
}
TINY = NetworkSettings(preset="tiny")
SMALL = ["mask2former.network.preset=tiny", "proposal-train.network.preset=tiny", "detic.min_score=0.0"]
SMALL += ["detic.long_side=64", "grouping.long_side=64", "crf.iterations=1", "detic.max_objects=2", "grouping.k=2"]


def pipeline(**overrides: dict[str, Any]) -> Pipeline:
    return Pipeline(read_preset("hub"), overrides, "images")


def test_every_network_is_named_with_its_revision() -> None:
    """No file is needed by hand, and no name comes without a revision."""
    nodes = pipeline().nodes
    named = {(name, key): str(path) for name, node in nodes.items() for key, path in node.files.items()}
    assert {place: name.split("@")[0] for place, name in named.items()} == NAMES
    assert all("@" in name for name in named.values())


@pytest.mark.parametrize(("node", "key"), NAMES)
def test_the_revision_is_part_of_the_fingerprint(node: str, key: str) -> None:
    """Another revision of a network is another layer, there and in what reads it."""
    before, after = pipeline(), pipeline(**{node: {key: f"{NAMES[node, key]}@{'c' * 40}"}})
    assert before[node].fingerprint != after[node].fingerprint
    assert before["grouping"].fingerprint != after["grouping"].fingerprint
    assert before["ingest"].fingerprint == after["ingest"].fingerprint


def test_sam_3_is_one_setting() -> None:
    """The backend brings its own weights, and needs no others."""
    assert {k: str(p) for k, p in pipeline(detic={"backend": "sam3"})["detic"].files.items()} == {
        "weights": "facebook/sam3@main"
    }


@pytest.fixture
def hub(checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub with tiny networks of the published classes under the published names; no network."""
    torch.manual_seed(0)
    Mask2FormerForUniversalSegmentation(config(TINY, 80)).save_pretrained(tmp_path / "m2f")
    folders = {"facebook/mask2former-swin-large-coco-instance": tmp_path / "m2f", "facebook/sam3": checkpoints["sam3"]}
    folders |= {"IDEA-Research/grounding-dino-base": checkpoints["dino"]}
    folders |= {"facebook/sam2.1-hiera-large": checkpoints["sam2"]}
    for name, folder in folders.items():
        repository = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        shutil.copytree(folder, repository / "snapshots" / ("d" * 40))
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("d" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize("backend", ["grounding-dino+sam2", "sam3"])
def test_the_preset_runs_from_names_alone(backend: str, hub: Path, tmp_path: Path) -> None:
    """Weights, objects, parts and their borders, with nothing but the names in the preset."""
    source = SourceSpec(root=str(draw_photographs(tmp_path / "photos")))
    store: Store = create_store(
        str(tmp_path / "store"), source, read_preset("hub"), [*SMALL, f"detic.backend={backend}"]
    )
    project = Project.open(store)
    for name in ("ingest", "mask2former", "detic", "grouping", "crf"):
        run_node(project, name, RunOptions(max_error_rate=1.0))
        assert project.layer(name).units() == [0], name
    assert len(project.layer("detic").read(0)) > 0
