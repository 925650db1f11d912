"""A store of twelve photographs of two sizes, in four blocks, computed without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from schemas.pipeline import PipelineSpec, SourceSpec
from stages.create.store import create_store
from stages.plan.project import Project
from stages.run.runner import run_node

_NODES = {
    "ingest": {},
    "detic": {"inputs": {"images": "ingest"}, "settings": {"backend": "saliency"}},
    "grouping": {
        "inputs": {"images": "ingest", "objects": "detic"},
        "settings": {"backend": "pixels", "k": 2, "metric": "l2"},
    },
    "crf": {"inputs": {"images": "ingest", "parts": "grouping"}, "settings": {"iterations": 2, "long_side": 0}},
}


def make_store(folder: Path) -> Path:
    """The store, beside the folder of its images."""
    for number in range(12):
        size = 40 if number % 3 else 48
        pixels = np.random.default_rng(number).integers(0, 60, (size, size, 3))
        pixels[8 : 8 + size // 2, 10 : 10 + size // 2] += np.array([150, 90, 20])
        pixels[8 : 8 + size // 4, 10 : 10 + size // 2] += np.array([0, 60, 120])
        path = folder / "images" / ("cats" if number % 2 else "dogs") / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    spec = PipelineSpec.parse({"block_size": 3, "nodes": _NODES}, "pipeline")
    store = create_store(str(folder / "my-store"), SourceSpec(root=str(folder / "images")), spec)
    project = Project.open(store)
    for name in project.nodes:
        run_node(project, name)
    return folder / "my-store"
