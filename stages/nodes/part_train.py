"""Train a part segmenter on parts that people drew: the supervised baseline or, from distilled weights, few-shot.

Source: reference ``supervised_model.py``, a Mask2Former with one class per part name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pdstore import Rows
from pdstore.errors import InputMissing
from schemas.stages import PartTrainSettings
from stages.stage import PART_NAMES
from stages.train.node import part_choice, run_training
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: PartTrainSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises InputMissing if the parts have no names."""

    def pairs(rows: Rows) -> list[tuple[str, str]]:
        categories = [""] * len(rows) if settings.shared_names else rows["category_name"].tolist()
        return list(zip(categories, rows["part_name"].tolist(), strict=True))

    def run(unit: Unit) -> Output:
        layer = unit.layer("parts")
        names = sorted({pair for rows in layer.scan(["category_name", "part_name"]) for pair in pairs(rows)})
        if not any(part for _, part in names):
            raise InputMissing("the parts of this node have no names", layer.node, "Train on a node of annotated-parts")
        numbers = {pair: number for number, pair in enumerate(names)}

        def label(rows: Rows) -> np.ndarray:
            return np.array([numbers[pair] for pair in pairs(rows)], np.int64)

        return run_training(
            unit,
            setup,
            settings,
            replace(part_choice("parts", settings, labelled=False), label=label),
            num_classes=len(names),
            extra={PART_NAMES: json.dumps(names).encode()},
        )

    return run
