"""A small store with a file of every kind.

It has layers of today and of former settings, an index, people's judgements, a frozen query, and a training that was
stopped before its end.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pdstore import Store
from pdstore.errors import Preempted
from pdstore.judgements import Subject, add_judgement
from schemas.pipeline import PipelineSpec, SourceSpec
from stages.create.store import create_store
from stages.loading.query import choose
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.progress import Watch
from stages.run.runner import run_node

__all__ = ["FROZEN", "make_store"]

FROZEN = "SELECT image_id, object_id FROM objects WHERE node = 'detic'"
_NETWORK = {"embedding_size": 8, "hidden_sizes": [8, 8, 8, 8], "pixel_dim": 32, "hidden_dim": 32, "num_queries": 4}
_TRAIN = {
    "network": _NETWORK,
    "steps": 4,
    "batch_size": 2,
    "num_points": 16,
    "warmup_steps": 1,
    "threads": 1,
    "checkpoint_every": 1,
    "keep": 2,
    "augment": {"size_px": 32},
    "min_object_ratio": 0.0,
    "min_score": 0.0,
}
_NODES = {
    "ingest": {},
    "detic": {"inputs": {"images": "ingest"}, "settings": {"backend": "saliency"}},
    "grouping": {"inputs": {"images": "ingest", "objects": "detic"}, "settings": {"backend": "pixels", "k": 2}},
    "crf": {"inputs": {"images": "ingest", "parts": "grouping"}, "settings": {"iterations": 2, "long_side": 0}},
    "candidates": {
        "inputs": {"images": "ingest", "objects": "detic", "segments": "crf"},
        "settings": {"min_score": 0},
    },
    "ranking": {"inputs": {"candidates": "candidates"}, "settings": {"k": 2}},
    "labels": {"inputs": {"images": "ingest", "objects": "detic", "segments": "crf", "clusters": "ranking"}},
    "proposal-train": {"inputs": {"images": "ingest", "parts": "crf"}, "settings": _TRAIN},
}


def make_store(folder: Path) -> Store:
    """The store, beside the folder of its images. What labels would write, and half of the training, is left to do."""
    for number in range(6):
        _draw(folder / "images" / ("cats" if number % 2 else "dogs") / f"{number:02d}.png", number)
    spec = PipelineSpec.parse({"block_size": 3, "nodes": _NODES}, "pipeline")
    store = create_store(str(folder / "store"), SourceSpec(root=str(folder / "images")), spec)
    for k in (3, 2):
        project = Project.open(store, [f"grouping.k={k}"])
        project.record(is_consent=True)
        for name in ("ingest", "detic", "grouping"):
            run_node(project, name)
    for name in ("crf", "candidates", "ranking"):
        run_node(project, name)
    for name in ("detic", "crf"):
        project.layer(name).compact(everything=True)
    add_judgement(
        store.files, "ann", "reject", [Subject("detic", project.layer("detic").fingerprint, 1, 0)], value="no"
    )
    choose(store, FROZEN, freeze_as="mine")
    _stop_halfway(project)
    return store


def _stop_halfway(project: Project) -> None:
    asked = iter(range(1000))
    try:
        run_node(project, "proposal-train", RunOptions(), Watch(should_stop=lambda: next(asked) > 2))
    except Preempted:
        return
    raise AssertionError("the training came to its end before it was stopped")


def _draw(path: Path, number: int) -> None:
    pixels = np.random.default_rng(number).integers(0, 60, (32, 32, 3))
    pixels[6:22, 8:24] += np.array([150, 90, 20])
    pixels[6:14, 8:24] += np.array([0, 60, 120])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
