"""Object masks that people drew -> rows of ``objects``."""

from __future__ import annotations

from collections.abc import Callable

from pdstore import Rows
from schemas.stages import AnnotationsSettings
from schemas.tables import OBJECTS
from stages.datasets.annotated import drawn_objects
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: AnnotationsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Objects of an image are numbered with the image's own class first."""
    objects = drawn_objects(settings, setup)

    def run(unit: Unit) -> Output:
        records = [
            {
                "image_id": drawn.image_id,
                "object_id": drawn.object_id,
                "category_id": drawn.category_id,
                "category_name": drawn.thing.name,
                "score": 1.0,
                "area": drawn.area,
                "height": drawn.height,
                "width": drawn.width,
                "rle": drawn.thing.counts,
            }
            for drawn in objects(unit)
        ]
        return Output(Rows.from_records(OBJECTS, records))

    return run
