"""Part masks that people drew -> rows of ``parts``, so that SQL, pictures and evaluation see them as any others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdstore import Ragged, Rows, masks
from schemas.stages import AnnotationsSettings
from schemas.tables import PARTS
from stages.coco import Annotation, read_coco
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
            records += _rows(image_id, own, annotations.get(key, []), class_ids)
        return Output(Rows.from_records(PARTS, records))

    return run


def _rows(image_id: int, own: str, found: list[Annotation], class_ids: dict[str, int]) -> list[dict[str, object]]:
    names = sorted({a.object_name for a in found}, key=lambda name: (name != own, name))
    rows: list[dict[str, object]] = []
    for object_id, name in enumerate(names):
        members = [a for a in found if a.object_name == name]
        height, width = members[0].height, members[0].width
        whole = masks.union([a.counts for a in members], height, width)
        sizes = masks.area(Ragged.from_list([whole, *(a.counts for a in members)]), height, width)
        for part_id, (member, area) in enumerate(zip(members, sizes[1:], strict=True)):
            rows.append(
                {
                    "image_id": image_id,
                    "object_id": object_id,
                    "part_id": part_id,
                    "category_id": class_ids.get(name, -1),
                    "category_name": name,
                    "part_name": member.part_name,
                    "score": 1.0,
                    "object_ratio": float(area) / max(int(sizes[0]), 1),
                    "area": int(area),
                    "height": height,
                    "width": width,
                    "rle": member.counts,
                    "feature": np.zeros(0, np.float16),
                }
            )
    return rows
