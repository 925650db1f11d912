"""Dense CRF on the parts of each object, so that their borders follow the image.

Source: reference ``continuously_postprocess_dcrf.py``. Background is a label like the others: a part may outgrow an
object mask that is too small.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Rows, masks
from schemas.stages import CrfSettings
from schemas.tables import PARTS
from stages.kernels.crf import masks_of_labels, paint, smooth
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: CrfSettings, setup: Setup) -> Callable[[Unit], Output]:
    """A part keeps its number, score and feature; one that loses all its pixels is gone."""

    def run(unit: Unit) -> Output:
        parts = unit.rows("parts")
        by_image = parts.by("image_id")
        records: list[dict[str, Any]] = []
        for image_id, pixels in unit.pictures(sorted(by_image)):
            own = parts.take(by_image[image_id])
            for rows in own.by("object_id").values():
                records += _smoothed(own.take(rows), pixels, settings)
        return Output(Rows.from_records(PARTS, records))

    return run


def _smoothed(parts: Rows, pixels: npt.NDArray[np.uint8], settings: CrfSettings) -> list[dict[str, Any]]:
    before = masks.decode(parts.ragged("rle"), *pixels.shape[:2])
    stack = smooth(pixels, before, **settings.model_dump())
    rle, areas = masks.encode(stack), stack.sum((1, 2))
    moved = (stack & ~masks_of_labels(paint(before), len(parts))).sum((1, 2))
    scalars = [c.name for c in PARTS.scalars]
    return [
        {name: parts[name][i] for name in scalars}
        | {
            "area": int(areas[i]),
            "object_ratio": float(areas[i]) / float(areas.sum()),
            "changed": float(moved[i]) / float(areas[i]),
            "rle": rle[i],
            "feature": parts["feature"][i],
        }
        for i in range(len(parts))
        if areas[i]
    ]
