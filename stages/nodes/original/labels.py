"""Part labels that the original system computed (part ranking, or its final model) -> rows of ``labels``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from schemas.stages import OriginalSettings
from schemas.tables import LABELS
from stages.datasets.original_tree import Found, start_reading
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: OriginalSettings, setup: Setup) -> Callable[[Unit], Output]:
    """All labels of a file are of one object of the image's class, whose clusters they name."""
    return start_reading("labels", LABELS, _columns, settings, setup)


def _columns(found: Found) -> dict[str, Any]:
    return {
        "object_id": 0,
        "label_id": np.arange(len(found.rle)),
        "category_id": found.category[0],
        "cluster": found.file.clusters[found.numbers],
        "score": found.file.scores[found.numbers],
        "object_ratio": found.object_ratio(),
    }
