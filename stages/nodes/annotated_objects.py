"""Object masks that people drew -> rows of ``objects``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pdstore import Ragged, Rows
from schemas.stages import AnnotationsSettings
from schemas.tables import OBJECTS
from stages.datasets.annotated import drawn_objects
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

COPIED = ("image_id", "object_id", "category_id", "area", "height", "width")


def start(settings: AnnotationsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """The objects of an image are numbered, those of the image's class first."""
    objects = drawn_objects(settings, setup)

    def run(unit: Unit) -> Output:
        drawn = list(objects(unit))
        columns: dict[str, Any] = {name: [getattr(obj, name) for obj in drawn] for name in COPIED}
        columns |= {
            "category_name": [obj.thing.name for obj in drawn],
            "score": 1.0,
            "rle": Ragged.from_list(obj.thing.counts for obj in drawn),
        }
        return Output(Rows.filled(OBJECTS, len(drawn), columns))

    return run
