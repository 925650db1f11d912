"""Part segments that the original system computed, before or after its CRF -> rows of ``parts``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from schemas.stages import OriginalSettings
from schemas.tables import PARTS
from stages.datasets.original_tree import Found, start_reading
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: OriginalSettings, setup: Setup) -> Callable[[Unit], Output]:
    """All parts of a file are of one object of the image's class: the original groups the best object alone."""
    return start_reading("parts", PARTS, _columns, settings, setup)


def _columns(found: Found) -> dict[str, Any]:
    return {
        "object_id": 0,
        "part_id": np.arange(len(found.rle)),
        "category_id": found.category[0],
        "category_name": found.category[1],
        "part_name": "",
        "score": found.file.scores[found.numbers],
        "object_ratio": found.object_ratio(),
        "changed": np.nan,
        "feature": np.zeros((len(found.rle), 0), np.float16),
    }
