"""Dense CRF on the parts of each object, so that their borders follow the edges in the image.

Source: reference ``continuously_postprocess_dcrf.py``. The background is a label like the others, so a part may grow
beyond an object mask that is too small.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pdstore import Rows, runs
from schemas.stages import CrfSettings
from schemas.tables import PARTS
from stages.fitting import or_rejected
from stages.kernels.crf import dense_crf
from stages.source.frames import image_frames, masks_at
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: CrfSettings, setup: Setup) -> Callable[[Unit], Output]:
    """A part keeps its number, score and feature; a part that loses all its pixels is dropped."""

    def run(unit: Unit) -> Output:
        block = unit.own_block
        parts = block.rows("parts")
        by_image = parts.by("image_id")
        smoothed: list[Rows] = []
        for image_id, pixels in block.pictures(sorted(by_image), image_frames(parts)):
            of_image = parts.take(by_image[image_id])
            with or_rejected(unit, image_id):
                of_objects = [of_image.take(rows) for rows in of_image.by("object_id").values()]
                smoothed += [_smoothed(of_object, pixels, settings) for of_object in of_objects]
        return Output(Rows.concat(PARTS, smoothed))

    return run


def _smoothed(parts: Rows, pixels: npt.NDArray[np.uint8], settings: CrfSettings) -> Rows:
    """The parts of one object, with smoothed masks."""
    count, size = len(parts), (pixels.shape[0], pixels.shape[1])
    before = runs.to_labels(runs.read(masks_at(parts, size), *size))
    after = dense_crf(pixels, before, count + 1, **settings.model_dump(include=set(CrfSettings.model_fields)))
    stack = runs.from_labels(after - 1, count)
    areas = runs.areas(stack)
    moved = np.bincount(after[after != before], minlength=count + 1)[1:]
    columns = {
        "area": areas,
        "height": np.full(count, stack.height),
        "width": np.full(count, stack.width),
        "rle": runs.strings(stack),
        "object_ratio": areas / max(int(areas.sum()), 1),
        "changed": moved / np.maximum(areas, 1),
    }
    return Rows(PARTS, parts.columns | columns).take(areas > 0)
