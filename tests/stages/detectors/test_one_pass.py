"""Two nodes that ask one network: it sees each picture once, and each node commits what it would commit alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdstore import Rows, Store
from schemas.pipeline import PipelineSpec
from stages.detectors.grounding import GroundedDetector
from stages.detectors.saliency import SaliencyDetector
from stages.detectors.sam3 import Sam3Detector
from stages.detectors.tiny import TinyDetector
from stages.models.network import build
from stages.models.network_files import network_files
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.runner import run_node, run_pass
from tests.stages.detectors.test_protocol import SMALL

PAIR = ["detic", "people"]
BACKENDS: dict[str, tuple[type, dict[str, str], dict[str, Any]]] = {
    # backend: detector, file setting -> checkpoint, what the second node asks for
    "tiny": (TinyDetector, {}, {"mode": "human-only", "words": ["man", "woman"], "min_score": 0.2}),
    "sam3": (Sam3Detector, {"weights": "sam3"}, {"mode": "human-only", "min_score": 0.26, "max_objects": 2}),
    "grounding-dino+sam2": (
        GroundedDetector,
        {"weights": "dino", "segmenter": "sam2"},
        {"mode": "human-only", "min_score": 0.3, "max_objects": 2},
    ),
    "saliency": (SaliencyDetector, {}, {"min_score": 0.785}),
}


@pytest.fixture(params=BACKENDS)
def case(request: pytest.FixtureRequest, classical: Callable[..., Store], checkpoints: dict[str, Path]) -> Any:
    """``make``, which makes a store whose images are read, and the class of the detector."""
    detector, files, people = BACKENDS[request.param]
    settings = {"backend": request.param, "max_objects": 3, "batch_size": 2}
    settings |= {key: str(checkpoints[name]) for key, name in files.items()}
    inputs = {"images": "ingest"} | ({"model": "segmenter"} if request.param == "tiny" else {})
    nodes: dict[str, Any] = {
        "ingest": {},
        "detic": {"inputs": inputs, "settings": settings},
        "people": {"stage": "detic", "inputs": inputs, "settings": {**settings, **people}},
    }
    if request.param == "tiny":
        nodes["objects"] = {"stage": "detic", "inputs": {"images": "ingest"}, "settings": {"backend": "saliency"}}
        nodes["segmenter"] = {"stage": "segmenter-train", "inputs": {"images": "ingest", "objects": "objects"}}

    def make() -> Store:
        store = classical(spec=PipelineSpec.parse({"block_size": 6, "nodes": nodes}, "pipeline"))
        project = Project.open(store)
        run_node(project, "ingest")
        if request.param == "tiny":
            # Committed by hand: a network of random weights that knows people needs no training.
            node = project["segmenter"]
            layer = store.declare(node.name, node.identity, node.stage.output, "test")
            made = network_files(build(SMALL, 4, seed=1), ["cats", "dogs", "man", "woman"])
            layer.commit(0, Rows.from_records(layer.table, []), extra=made)
        return store

    return make, detector


def test_one_look_gives_the_bytes_of_two(
    case: Any, contents: Callable[..., dict[str, dict[int, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and error rows are those of two runs; a picture is looked at once, whether both nodes lack it or one."""
    make, detector = case
    looks, real = [], detector.look
    monkeypatch.setattr(detector, "look", lambda self, pictures: looks.append(len(pictures)) or real(self, pictures))
    options = RunOptions(max_error_rate=1.0)
    apart, together = make(), make()
    for name in PAIR:
        run_node(Project.open(apart), name, options)
    assert sum(looks) == 24
    run_node(Project.open(together), "detic", RunOptions(max_error_rate=1.0, limit=1))
    looks.clear()
    outcomes = run_pass(Project.open(together), PAIR, options)
    assert sum(looks) == 12
    assert [sorted(outcome.committed) for outcome in outcomes] == [[1], [0, 1]]
    found = contents(together, PAIR)
    assert found == contents(apart, PAIR)
    assert found["detic"] != found["people"]
    assert all(any(len(Project.open(together).layer(name).read(unit)) for unit in (0, 1)) for name in PAIR)
