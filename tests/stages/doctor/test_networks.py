from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pdstore import Store
from schemas.pipeline import PipelineSpec
from schemas.training import NetworkSettings
from stages.doctor.finding import Finding
from stages.doctor.networks import network_findings
from stages.models.network import build
from stages.models.network_files import WEIGHTS_NAME, network_files, write_files
from stages.plan.project import Project
from stages.run.runner import run_node
from stages.unit import Control

SMALL = {"embedding_size": 8, "hidden_sizes": (8, 8, 16, 16), "pixel_dim": 32, "hidden_dim": 32, "num_queries": 8}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The folder of a small network of two classes, as this program writes it."""
    folder = tmp_path / "published"
    write_files(network_files(build(NetworkSettings(**SMALL), 2)), folder)
    return folder


def spec(folder: Path) -> PipelineSpec:
    settings = {"file": str(folder), "network": {k: list(v) if isinstance(v, tuple) else v for k, v in SMALL.items()}}
    nodes = {
        "ingest": {},
        "weights": {"settings": settings},
        "proposals": {"inputs": {"images": "ingest", "model": "weights"}},
    }
    return PipelineSpec.parse({"block_size": 3, "nodes": nodes}, "pipeline")


def named(store: Store, control: Control | None = None) -> dict[str, Finding]:
    return {finding.checked: finding for finding in network_findings(Project.open(store), control)}


def test_networks_are_loaded_as_a_run_loads_them(classical: Callable[..., Store], published: Path) -> None:
    """Published weights at once, the node that runs them when they are imported; it says so before."""
    store, notes = classical(spec=spec(published)), []
    found = named(store, Control(note=notes.append))
    assert set(found) == {"weights", "proposals"} and found["weights"].found.startswith("loaded in ")
    assert found["proposals"].found == "its network is not there before weights has run"
    assert notes == ["Loading weights …"]
    run_node(Project.open(store), "weights")
    assert {(f.verdict, f.found.split(" in ")[0]) for f in named(store).values()} == {("ok", "loaded")}


def test_weights_that_are_gone_or_damaged_fail(classical: Callable[..., Store], published: Path) -> None:
    """With the path, and what brings it back."""
    store = classical(spec=spec(published))
    weights = published / WEIGHTS_NAME
    weights.write_bytes(weights.read_bytes()[:1000])
    damaged = named(store)["weights"]
    assert damaged.verdict == "fails" and damaged.found.startswith("cannot be loaded: ") and damaged.fix
    published.rename(published.with_name("elsewhere"))
    gone = named(store)["weights"]
    assert gone.verdict == "fails" and str(published) in gone.found
    assert gone.fix == "Bring it back, or set another path: pd config set weights.file=PATH"


def test_a_network_in_the_store_that_was_damaged_fails(classical: Callable[..., Store], published: Path) -> None:
    """The committed network is what the node will load."""
    store = classical(spec=spec(published))
    project = Project.open(store)
    run_node(project, "weights")
    path = store.files.local(project.layer("weights").manifest(0).folder) / WEIGHTS_NAME
    path.write_bytes(b"\xff" * 100)
    assert named(store)["proposals"].verdict == "fails"


def test_a_hub_name_that_was_not_fetched_is_a_warning(
    classical: Callable[..., Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No network is asked for it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    store = classical("grouping.backend=auto", "grouping.weights=nobody/no-such-network@1")
    found = named(store)["grouping"]
    assert found.verdict == "warning" and "nobody/no-such-network@1 is not in the hub's cache here" in found.found


def test_a_package_that_a_node_needs_is_named(classical: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "stages.detectors.saliency", None)
    found = named(classical())["detic"]
    assert found.verdict == "fails" and "is not installed" in found.found and found.fix.startswith("pip install")
