"""Pixel grouping: k-means on the features inside each object, a part segment a cluster.

Source: paper §3.1; reference ``proposal_generation_model.py``. Only k score maps reach full resolution, never the
feature channels (see :mod:`stages.kernels.grouping`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Rows, masks
from pdstore.errors import UsageError
from schemas.stages import GroupingSettings
from schemas.tables import PARTS
from stages.kernels.grouping import concat_maps, group_pixels, normalize
from stages.kernels.kmeans import TooFewPoints
from stages.kernels.pixel_features import pixel_features
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

Floats = npt.NDArray[np.float32]
Features = Callable[[Unit, list[int]], Iterator[tuple[int, Floats]]]
"""A unit and image ids -> (image_id, (C, h, w) float32 over the whole image)."""


def start(settings: GroupingSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError if the backend lacks its network."""
    features = {"backbone": _backbone, "pixels": _pixels}[settings.backend](settings, setup)

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
            "area": int(areas[part]),
            "height": height,
            "width": width,
            "rle": rle[part],
            "feature": found.features[part].astype(np.float16),
        }
        for part in range(settings.k)
        if areas[part]
    ]


def _pixels(settings: GroupingSettings, setup: Setup) -> Features:
    """Colour, place and texture: no weights."""

    def features(unit: Unit, image_ids: list[int]) -> Iterator[tuple[int, Floats]]:
        for image_id, pixels in unit.pictures(image_ids):
            maps = pixel_features(pixels, settings.stride)
            yield image_id, normalize(maps) if settings.normalize else maps

    return features


def _backbone(settings: GroupingSettings, setup: Setup) -> Features:
    """Feature maps of a network's backbone, joined at the resolution of the first."""
    from stages.models.inference import Inference

    if "model" not in setup.models:
        fix = "Give it a network: inputs: {model: NODE}, or choose backend: pixels"
        raise UsageError("a model for backend backbone", "none", "grouping", fix)
    network = Inference(setup.models["model"], setup.device, settings.long_side)

    def features(unit: Unit, image_ids: list[int]) -> Iterator[tuple[int, Floats]]:
        for ids, pictures in unit.batches(settings.batch_size, network.shape, image_ids):
            for image_id, maps in zip(ids, network.maps(pictures, settings.maps, settings.input_scale), strict=True):
                yield image_id, concat_maps([normalize(m) if settings.normalize else m for m in maps])

    return features
