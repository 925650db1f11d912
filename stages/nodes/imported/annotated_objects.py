"""Object masks that people drew -> rows of ``objects``; with an input ``objects``, the corrections of that node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pdstore import Ragged, Rows
from schemas.stages import AnnotationsSettings
from schemas.tables import OBJECTS
from stages.datasets.annotated import drawn_objects
from stages.datasets.corrections import Corrected, each_alone
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

COPIED = ("image_id", "object_id", "category_id", "area", "height", "width")


def start(settings: AnnotationsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """The objects of an image are numbered, those of the image's class first.

    With an input ``objects`` every annotation is an object. Without it, all of one class are the parts of one object.
    """
    objects = drawn_objects(settings, setup)

    def run(unit: Unit) -> Output:
        listed = set[int]()
        drawn, is_correction = list(objects(unit, listed)), "objects" in unit.layers
        drawn = list(each_alone(drawn)) if is_correction else drawn
        columns: dict[str, Any] = {name: [getattr(obj, name) for obj in drawn] for name in COPIED}
        columns |= {
            "category_name": [obj.thing.name for obj in drawn],
            "score": 1.0,
            "rle": Ragged.from_list(obj.thing.counts for obj in drawn),
        }
        rows = Rows.filled(OBJECTS, len(drawn), columns)
        return Output(Corrected(unit, "objects", OBJECTS).with_drawn(rows, listed) if is_correction else rows)

    return run
