"""Pixel grouping: k-means on the features inside each object; each cluster is one part segment.

Source: paper §3.1; reference ``proposal_generation_model.py``. Only k score maps are brought to full resolution, never
the feature channels (see :mod:`stages.kernels.grouping`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pdstore import Rows, masks
from schemas.stages import GroupingSettings
from schemas.tables import PARTS
from stages.features.protocol import Features
from stages.fitting import refusal
from stages.kernels.grouping import group_pixels
from stages.kernels.kmeans import TooFewPoints
from stages.mask_columns import mask_columns
from stages.source.frames import frame_of, frame_side
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

Floats = npt.NDArray[np.float32]
BACKENDS = {
    "backbone": "stages.features.backbone",
    "auto": "stages.features.auto",
    "pixels": "stages.features.pixels",
}
"""The sources of features. A module is imported only if its backend is chosen, so ``pixels`` needs no torch."""


def start(settings: GroupingSettings, setup: Setup) -> Callable[[Unit], Output]:
    """An object with too few feature cells becomes a row of ``errors``. Raises UsageError without the network.

    Parts are in the frame of their object, which is not larger than that of the picture.

    An image none of whose objects is grouped is left out as a whole.
    """
    features: Features = importlib.import_module(BACKENDS[settings.backend]).start(settings, setup)

    def run(unit: Unit) -> Output:
        objects = unit.own_block.rows("objects")
        objects = objects.take(objects["object_id"] < settings.objects_per_image)
        by_image = objects.by("image_id")
        parts: list[Rows] = []
        for image_id, maps in features(unit, sorted(by_image)):
            faults: list[tuple[str, str]] = []
            for row in by_image[image_id]:
                try:
                    parts.append(_parts(objects, int(row), maps, settings))
                except Exception as error:
                    reason = "too_few_points" if isinstance(error, TooFewPoints) else refusal(error)
                    if reason is None:
                        raise
                    faults.append((reason, f"object {objects['object_id'][row]}: {error}"))
            is_whole = len(faults) == len(by_image[image_id])
            for reason, fault in faults:
                unit.reject(image_id, reason, fault, of="image" if is_whole else "object")
        return Output(Rows.concat(PARTS, parts).sorted("image_id", "object_id", "part_id"))

    return run


def _parts(objects: Rows, row: int, maps: Floats, settings: GroupingSettings) -> Rows:
    size = int(objects["height"][row]), int(objects["width"][row])
    # Ground truth is in original pixels: it is brought to the frame.
    frame = frame_of(size, frame_side(settings.long_side))
    mask = masks.decode_to(objects.ragged("rle").take([row]), [size], *frame)[0]
    groups = group_pixels(maps, mask, settings.k, settings.metric, settings.seed, n_init=settings.n_init)
    columns = mask_columns(groups.labels == np.arange(settings.k)[:, None, None])
    areas = columns["area"]
    columns |= {name: objects[name][row] for name in ("image_id", "object_id", "category_id", "category_name", "score")}
    columns |= {
        "part_id": np.arange(settings.k),
        "part_name": "",
        "object_ratio": areas / areas.sum(),
        "changed": np.nan,
        "feature": groups.features.astype(np.float16),
    }
    return Rows.filled(PARTS, settings.k, columns).take(areas > 0)
