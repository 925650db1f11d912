"""Object masks that people drew -> rows of ``objects``: the union of an object's part masks."""

from __future__ import annotations

from collections.abc import Callable

from pdstore import Ragged, Rows, masks
from schemas.stages import AnnotationsSettings
from schemas.tables import OBJECTS
from stages.coco import read_coco
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: AnnotationsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Objects of an image are numbered with the image's own class first."""
    annotations = read_coco(setup.files["file"])
    class_ids = {c.name.lower(): c.class_id for c in setup.classes}

    def run(unit: Unit) -> Output:
        records = []
        for image_id, key in sorted(unit.keys.items()):
            own = unit.category()[image_id][1].lower()
            found = annotations.get(key, [])
            for number, name in enumerate(sorted({a.object_name for a in found}, key=lambda n: (n != own, n))):
                members = [a for a in found if a.object_name == name]
                height, width = members[0].height, members[0].width
                whole = masks.union([a.counts for a in members], height, width)
                records.append(
                    {
                        "image_id": image_id,
                        "object_id": number,
                        "category_id": class_ids.get(name, -1),
                        "category_name": name,
                        "score": 1.0,
                        "area": int(masks.area(Ragged.from_list([whole]), height, width)[0]),
                        "height": height,
                        "width": width,
                        "rle": whole,
                    }
                )
        return Output(Rows.from_records(OBJECTS, records))

    return run
