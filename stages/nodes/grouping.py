"""Pixel grouping: k-means on the features inside each object, a part segment a cluster.

Source: paper §3.1; reference ``proposal_generation_model.py``. Only k score maps reach full resolution, never the
feature channels (see :mod:`stages.kernels.grouping`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Rows, masks
from schemas.stages import GroupingSettings
from schemas.tables import PARTS
from stages.features.protocol import Features
from stages.kernels.grouping import group_pixels
from stages.kernels.kmeans import TooFewPoints
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

Floats = npt.NDArray[np.float32]
BACKENDS = {
    "backbone": "stages.features.backbone",
    "auto": "stages.features.auto",
    "pixels": "stages.features.pixels",
}
"""Where features come from. A module is imported when its backend is chosen: without a network, without torch."""


def start(settings: GroupingSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError if the backend lacks its network."""
    features: Features = importlib.import_module(BACKENDS[settings.backend]).start(settings, setup)

    def run(unit: Unit) -> Output:
        objects = unit.rows("objects")
        objects = objects.take(objects["object_id"] < settings.objects_per_image)
        by_image = objects.by("image_id")
        records: list[dict[str, Any]] = []
        for image_id, maps in features(unit, sorted(by_image)):
            for row in by_image[image_id]:
                try:
                    records += _parts(objects, int(row), maps, settings)
                except TooFewPoints as error:
                    unit.reject(image_id, "too_few_points", f"object {objects['object_id'][row]}: {error}")
        records.sort(key=lambda row: (row["image_id"], row["object_id"], row["part_id"]))
        return Output(Rows.from_records(PARTS, records))

    return run


def _parts(objects: Rows, row: int, maps: Floats, settings: GroupingSettings) -> list[dict[str, Any]]:
    height, width = int(objects["height"][row]), int(objects["width"][row])
    mask = masks.decode_one(objects.ragged("rle")[row], height, width)
    found = group_pixels(maps, mask, settings.k, settings.metric, settings.seed, n_init=settings.n_init)
    stack = found.labels == np.arange(settings.k)[:, None, None]
    rle, areas = masks.encode(stack), stack.sum((1, 2))
    return [
        {
            "image_id": int(objects["image_id"][row]),
            "object_id": int(objects["object_id"][row]),
            "part_id": part,
            "category_id": int(objects["category_id"][row]),
            "category_name": objects["category_name"][row],
            "part_name": "",
            "score": float(objects["score"][row]),
            "object_ratio": float(areas[part]) / float(areas.sum()),
            "changed": float("nan"),
            "area": int(areas[part]),
            "height": height,
            "width": width,
            "rle": rle[part],
            "feature": found.features[part].astype(np.float16),
        }
        for part in range(settings.k)
        if areas[part]
    ]
