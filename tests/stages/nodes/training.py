"""A training of one step on hand-made layers, for the tests of the training nodes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from schemas.training import TrainSettings
from stages.unit import Output
from tests.stages.nodes.records import SIZE

NOISE = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
NETWORK = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "pixel_dim": 32, "hidden_dim": 32, "num_queries": 4}
TINY = {
    "network": NETWORK,
    "steps": 1,
    "batch_size": 1,
    "num_points": 16,
    "warmup_steps": 0,
    "threads": 1,
    "augment": {"size_px": 64},
}


def settings_of(kind: type[TrainSettings], **values: Any) -> Any:
    """Settings of a training that takes a moment."""
    return kind.parse({**TINY, **values}, "node")


def shape_of(output: Output) -> tuple[int, int]:
    """(classes, object classes) of the network that a training has written."""
    config = json.loads(output.files["config.json"])
    return config["num_classes"], config["num_objects"]
