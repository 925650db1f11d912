"""Part masks that people gave to clusters -> rows of ``labels``.

With an input ``labels``, they are the corrections of that node. The name of an annotation's part begins with the number
of its cluster: ``cat 3`` is the cluster 3 of a cat, and so is ``cat 3 head``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdstore import Ragged, Rows
from schemas.stages import AnnotationsSettings
from schemas.tables import LABELS
from stages.datasets.annotated import Drawn, drawn_objects
from stages.datasets.corrections import rows_of_parts
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

PEOPLE = "person"
"""What exports call the object class outside the vocabulary, whose clusters are those of people."""


def start(settings: AnnotationsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """A part becomes a row of ``errors`` if its class is unknown, its name is no number, or it has no pixel."""
    objects = drawn_objects(settings, setup)
    return lambda unit: Output(rows_of_parts(unit, "labels", LABELS, objects, _rows))


def _rows(unit: Unit, drawn: Drawn) -> Rows:
    parts, areas = drawn.thing.parts, np.array(drawn.part_areas, int)
    if drawn.category_id < 0 and drawn.thing.name != PEOPLE:
        detail = f"the store has no class {drawn.thing.name!r}; {len(parts)} annotations have it"
        unit.reject(drawn.image_id, "unknown_class", detail, of="annotation")
        return Rows.empty(LABELS)
    words = [part.name.partition(" ")[0] for part in parts]
    is_number = np.array([word.isdecimal() and len(word) < 10 for word in words], bool)
    for number, part in enumerate(parts):
        of = f"{part.name} of object {drawn.object_id} ({drawn.thing.name})"
        if not is_number[number]:
            detail = f"expected a category such as {drawn.thing.name!r} and the number of a cluster, found {of}"
            unit.reject(drawn.image_id, "unknown_part", detail, of="annotation")
        elif not areas[number]:
            unit.reject(drawn.image_id, "empty_mask", f"expected pixels of {of}, found none", of="part")
    kept = np.flatnonzero(is_number & (areas > 0))
    columns = {
        "image_id": drawn.image_id,
        "object_id": drawn.object_id,
        "label_id": np.arange(len(kept)),
        "category_id": drawn.category_id,
        "cluster": [int(words[n]) for n in kept],
        "score": 1.0,
        "object_ratio": areas[kept] / drawn.area,
        "area": areas[kept],
        "height": drawn.height,
        "width": drawn.width,
        "rle": Ragged.from_list(parts[n].counts for n in kept),
    }
    return Rows.filled(LABELS, len(kept), columns)
