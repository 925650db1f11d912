"""Part masks that people drew -> rows of ``parts``, so that SQL, pictures and evaluation treat them like any others.

With an input ``parts``, they are the corrections of that node.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdstore import Ragged, Rows
from schemas.stages import AnnotationsSettings
from schemas.tables import PARTS
from stages.datasets.annotated import Drawn, drawn_objects
from stages.datasets.corrections import rows_of_parts
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: AnnotationsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Parts are numbered in the order of the annotations. A part without a pixel becomes a row of ``errors``."""
    objects = drawn_objects(settings, setup)
    return lambda unit: Output(rows_of_parts(unit, "parts", PARTS, objects, _rows))


def _rows(unit: Unit, drawn: Drawn) -> Rows:
    parts, areas = drawn.thing.parts, np.array(drawn.part_areas, int)
    for number in np.flatnonzero(areas == 0):
        part = f"{parts[number].name} of object {drawn.object_id} ({drawn.thing.name})"
        unit.reject(drawn.image_id, "empty_mask", f"expected pixels of {part}, found none", of="part")
    columns = {
        "image_id": drawn.image_id,
        "object_id": drawn.object_id,
        "part_id": np.arange(len(parts)),
        "category_id": drawn.category_id,
        "category_name": drawn.thing.name,
        "part_name": [part.name for part in parts],
        "score": 1.0,
        "object_ratio": areas / drawn.area,
        "changed": np.nan,
        "area": areas,
        "height": drawn.height,
        "width": drawn.width,
        "rle": Ragged.from_list(part.counts for part in parts),
        "feature": np.zeros((len(parts), 0), np.float16),
    }
    return Rows.filled(PARTS, len(parts), columns).take(areas > 0)
