"""Train a small object segmenter on object masks. It takes the place of published detector and backbone weights."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from pdstore import Rows
from schemas.stages import SegmenterTrainSettings
from stages.stage import CLASS_NAMES
from stages.train.node import run_training
from stages.train.source import Choice
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: SegmenterTrainSettings, setup: Setup) -> Callable[[Unit], Output]:
    """One output class per name: the classes of the vocabulary, then all other names of the masks, sorted."""

    def run(unit: Unit) -> Output:
        names = [c.name for c in setup.classes]
        layer = unit.layer("objects")
        names += sorted({name for rows in layer.scan(["category_name"]) for name in rows["category_name"]} - set(names))

        def label(rows: Rows) -> np.ndarray:
            return np.array([names.index(name) for name in rows["category_name"]], np.int64)

        condition = f"m.area > {settings.min_object_ratio} * m.height * m.width"
        return run_training(
            unit,
            setup,
            settings,
            Choice("objects", condition, label),
            num_classes=len(names),
            extra={CLASS_NAMES: json.dumps(names).encode()},
        )

    return run
