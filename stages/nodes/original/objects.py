"""Object masks that the original system computed (Detic's predictions) -> rows of ``objects``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from schemas.stages import OriginalSettings
from schemas.tables import OBJECTS
from stages.datasets.original_tree import Found, start_reading
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: OriginalSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Objects are numbered as in the file, best first. A name is that of the image's class, or of the vocabulary."""
    class_ids = {c.name.lower(): c.class_id for c in setup.classes}
    return start_reading("objects", OBJECTS, partial(_columns, class_ids), settings, setup)


def _columns(class_ids: dict[str, int], found: Found) -> dict[str, Any]:
    class_id, class_name = found.category
    own = {class_name.lower(), found.file.class_name.lower()}
    names = [found.file.names[number] for number in found.numbers]
    is_own = [name.lower() in own for name in names]
    return {
        "object_id": np.arange(len(names)),
        "category_id": [class_id if o else class_ids.get(n.lower(), -1) for n, o in zip(names, is_own, strict=True)],
        "category_name": [class_name if o else name for name, o in zip(names, is_own, strict=True)],
        "score": found.file.scores[found.numbers],
    }
