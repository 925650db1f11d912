"""Part masks that people drew -> rows of ``parts``, so that SQL, pictures and evaluation see them as any others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pdstore import Rows
from schemas.stages import AnnotationsSettings
from schemas.tables import PARTS
from stages.datasets.annotated import Drawn, drawn_objects
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: AnnotationsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Parts are numbered as listed. A part without a pixel is a row of ``errors``."""
    objects = drawn_objects(settings, setup)

    def run(unit: Unit) -> Output:
        records = [record for drawn in objects(unit) for record in _records(unit, drawn)]
        return Output(Rows.from_records(PARTS, records))

    return run


def _records(unit: Unit, drawn: Drawn) -> list[dict[str, Any]]:
    records = []
    for number, (part, area) in enumerate(zip(drawn.thing.parts, drawn.part_areas, strict=True)):
        if not area:
            what = f"{part.name} of object {drawn.object_id} ({drawn.thing.name})"
            unit.reject(drawn.image_id, "empty_mask", f"expected pixels of {what}, found none")
            continue
        records.append(
            {
                "image_id": drawn.image_id,
                "object_id": drawn.object_id,
                "part_id": number,
                "category_id": drawn.category_id,
                "category_name": drawn.thing.name,
                "part_name": part.name,
                "score": 1.0,
                "object_ratio": area / drawn.area,
                "changed": float("nan"),
                "area": area,
                "height": drawn.height,
                "width": drawn.width,
                "rle": part.counts,
                "feature": np.zeros(0, np.float16),
            }
        )
    return records
