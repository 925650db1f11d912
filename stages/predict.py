"""The parts of every image by the distilled model, given the image's object class.

A pixel's chance of a part is the sum over queries of class probability x mask probability; it takes the best part
if that chance is above the threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Rows, masks
from schemas.stages import PredictSettings
from schemas.tables import PREDICTIONS
from stages.models.inference import Found, Inference
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: PredictSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Score of a part: the mean chance of its pixels, at most 1."""
    network = Inference(setup.models["model"], setup.device, settings.long_side)

    def run(unit: Unit) -> Output:
        category = unit.category()
        records: list[dict[str, Any]] = []
        for ids, pictures in unit.batches(settings.batch_size, network.shape):
            classes = [category[image_id][0] for image_id in ids]
            chances = [_chances(found) for found in network.queries(pictures, classes)]
            if settings.flip:
                mirrored = network.queries(pictures, classes, flip=True)
                chances = [(a + _chances(b)) / 2 for a, b in zip(chances, mirrored, strict=True)]
            for image_id, own, chance in zip(ids, classes, chances, strict=True):
                records += _rows(image_id, own, chance, settings)
        records.sort(key=lambda row: (row["image_id"], row["label_id"]))
        return Output(Rows.from_records(PREDICTIONS, records))

    return run


def _chances(found: Found) -> npt.NDArray[np.float32]:
    """(K, H, W): chance of each part at each pixel."""
    return np.tensordot(found.classes[:, :-1].T, found.masks, 1)


def _rows(
    image_id: int, category_id: int, chance: npt.NDArray[np.float32], settings: PredictSettings
) -> list[dict[str, Any]]:
    best, height, width = chance.argmax(0), chance.shape[1], chance.shape[2]
    stack = (best == np.arange(len(chance))[:, None, None]) & (chance > settings.threshold)
    areas, rle = stack.sum((1, 2)), masks.encode(stack)
    present = [part for part in range(len(stack)) if areas[part] > settings.min_area_ratio * height * width]
    return [
        {
            "image_id": image_id,
            "object_id": 0,
            "label_id": number,
            "category_id": category_id,
            "cluster": part,
            "score": float(min(1.0, chance[part][stack[part]].mean())),
            "object_ratio": float(areas[part]) / float(areas.sum()),
            "area": int(areas[part]),
            "height": height,
            "width": width,
            "rle": rle[part],
            "part_name": "",
        }
        for number, part in enumerate(present)
    ]
