"""Pixel grouping: k-means on the features inside each object; each cluster is one part segment.

Source: paper §3.1; reference ``proposal_generation_model.py``. Only k score maps are brought to full resolution, never
the feature channels (see :mod:`stages.kernels.clustering.grouping`). Features that a backend leaves on a GPU are
grouped there, several objects at once (:mod:`stages.kernels.clustering.torch_grouping`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Rows, runs
from schemas.stages import GroupingSettings
from schemas.tables import PARTS
from stages.behind import behind
from stages.features.protocol import Features, Maps
from stages.fitting import refusal
from stages.kernels.clustering.grouping import Grouping, group_pixels
from stages.kernels.clustering.kmeans import TooFewPoints
from stages.kernels.clustering.merging import merge_groups
from stages.kernels.clustering.object_maps import PLACE_CHANNELS, object_maps
from stages.kernels.pixel_features import COLOUR_CHANNELS
from stages.mask_columns import run_columns
from stages.source.frames import mask_in_frame
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

Bools = npt.NDArray[np.bool_]
Waiting = tuple[list[tuple[int, Maps]], Any]
"""Rows of ``objects``, each with the features of its image, and when a GPU has computed these."""
BACKENDS = {
    "backbone": "stages.features.backbone",
    "auto": "stages.features.auto",
    "pixels": "stages.features.pixels",
}
"""The sources of features. A module is imported only if its backend is chosen, so ``pixels`` needs no torch."""
_OBJECTS_ON_DEVICE = 32
"""Objects that wait on a GPU to be grouped together, with the features of their images."""
_THREADS_ON_DEVICE = 2
"""Threads that group: a GPU computes for one while the other prepares masks or encodes parts."""
_AHEAD = 2
"""Groupings that wait while the network computes the next features. Each holds those of an image, tens of megabytes."""


def start(settings: GroupingSettings, setup: Setup) -> Callable[[Unit], Output]:
    """An object with too few feature cells becomes a row of ``errors``. Raises UsageError without the network.

    Parts are in the frame of their object, which is not larger than that of the picture.

    An image none of whose objects is grouped is left out as a whole.
    """
    features: Features = importlib.import_module(BACKENDS[settings.backend]).start(settings, setup)

    threads = _THREADS_ON_DEVICE if setup.device.startswith("cuda") and settings.backend != "pixels" else 1

    def run(unit: Unit) -> Output:
        objects = unit.own_block.rows("objects")
        objects = objects.take(objects["object_id"] < settings.objects_per_image)
        by_image = objects.by("image_id")
        found: dict[int, Rows | Exception] = {}
        together = _together(features(unit, sorted(by_image)), by_image)
        for _, done in behind(together, partial(_grouped, objects, settings), ahead=_AHEAD, threads=threads):
            found |= done.result()
        parts = [rows for rows in found.values() if isinstance(rows, Rows)]
        for image_id, rows in by_image.items():
            _report(unit, image_id, objects, {row: found[row] for row in rows.tolist() if row in found})
        return Output(Rows.concat(PARTS, parts).sorted("image_id", "object_id", "part_id"))

    return run


def _together(features: Iterator[tuple[int, Maps]], by_image: Mapping[int, npt.NDArray[np.int64]]) -> Iterator[Waiting]:
    """Objects that are grouped together: one on the CPU, several on a device."""
    waiting: list[tuple[int, Maps]] = []
    for image_id, maps in features:
        for row in by_image[image_id].tolist():
            waiting.append((row, maps))
            if len(waiting) == (1 if isinstance(maps, np.ndarray) else _OBJECTS_ON_DEVICE):
                yield waiting, _ready(maps)
                waiting = []
    if waiting:
        yield waiting, _ready(waiting[0][1])


def _ready(maps: Maps) -> Any:
    if isinstance(maps, np.ndarray):
        return None
    from stages.device.streams import moment

    return moment(maps.device)


def _report(unit: Unit, image_id: int, objects: Rows, found: dict[int, Rows | Exception]) -> None:
    """Reject the objects of an image that were not grouped."""
    faults = {row: error for row, error in found.items() if isinstance(error, Exception)}
    for row, error in faults.items():
        reason = "too_few_points" if isinstance(error, TooFewPoints) else str(refusal(error))
        detail = f"object {objects['object_id'][row]}: {error}"
        unit.reject(image_id, reason, detail, of="image" if len(faults) == len(found) else "object")


def _grouped(objects: Rows, settings: GroupingSettings, waiting: Waiting) -> dict[int, Rows | Exception]:
    """Row of ``objects`` -> its parts, or why there are none. Objects that do not fit together are tried one by one."""
    together, ready = waiting
    try:
        masks_of = [mask_in_frame(objects, row, settings.long_side) for row, _ in together]
        groups = _groups([maps for _, maps in together], masks_of, ready, settings)
        return {
            row: found if isinstance(found, Exception) else _parts(objects, row, found)
            for (row, _), found in zip(together, groups, strict=True)
        }
    except Exception as error:
        if refusal(error) is None:
            raise
        if len(together) == 1:
            return {together[0][0]: error.with_traceback(None)}
    alone = [_grouped(objects, settings, ([one], ready)) for one in together]
    return {row: found for each in alone for row, found in each.items()}


def _groups(
    maps: list[Maps], masks_of: list[Bools], ready: Any, settings: GroupingSettings
) -> Sequence[Grouping | TooFewPoints]:
    """The groups of each object. One with too few cells for ``divide`` groups is divided into k at once."""
    if isinstance(maps[0], np.ndarray):
        return _divided(maps, masks_of, settings)
    from stages.device.streams import beside

    with beside(maps[0].device, ready):
        return _divided(maps, masks_of, settings)


def _divided(maps: list[Maps], masks_of: list[Bools], settings: GroupingSettings) -> list[Grouping | TooFewPoints]:
    shaped = partial(object_maps, blur=settings.blur, position=settings.position)
    own: list[Maps] = [shaped(each, mask) for each, mask in zip(maps, masks_of, strict=True)]
    fine = settings.divide or settings.k
    groups = _kmeans(own, masks_of, fine, settings)
    small = [n for n, found in enumerate(groups) if isinstance(found, TooFewPoints) and fine > settings.k]
    again = _kmeans([own[n] for n in small], [masks_of[n] for n in small], settings.k, settings)
    for number, found in zip(small, again, strict=True):
        groups[number] = found
    return [found if isinstance(found, TooFewPoints) else _merged(found, settings) for found in groups]


def _merged(groups: Grouping, settings: GroupingSettings) -> Grouping:
    """The groups that are stored: merged if they are to be. Of their features, what only divides is left out."""
    if settings.divide or settings.k_min:
        k, k_min, cost = settings.k, settings.k_min, settings.merge_cost
        groups = merge_groups(groups, k, k_min=k_min, max_cost=cost, boundary=settings.boundary)
    added = (COLOUR_CHANNELS if settings.colour else 0) + (PLACE_CHANNELS if settings.position else 0)
    return Grouping(groups.labels, groups.features[:, : groups.features.shape[1] - added])


def _kmeans(
    maps: list[Maps], masks_of: list[Bools], k: int, settings: GroupingSettings
) -> list[Grouping | TooFewPoints]:
    pairs = list(zip(maps, masks_of, strict=True))
    if pairs and not isinstance(maps[0], np.ndarray):
        from stages.kernels.clustering.torch_grouping import group_objects

        on_device: list[Grouping | TooFewPoints] = group_objects(
            pairs, k, settings.metric, settings.seed, n_init=settings.n_init
        )
        return on_device
    found: list[Grouping | TooFewPoints] = []
    for pair in pairs:
        try:
            found.append(group_pixels(*pair, k, settings.metric, settings.seed, n_init=settings.n_init))
        except TooFewPoints as error:
            found.append(error)
    return found


def _parts(objects: Rows, row: int, groups: Grouping) -> Rows:
    count = len(groups.features)
    columns = run_columns(runs.from_labels(groups.labels, count))
    areas = columns["area"]
    columns |= {name: objects[name][row] for name in ("image_id", "object_id", "category_id", "category_name", "score")}
    columns |= {
        "part_id": np.arange(count),
        "part_name": "",
        "object_ratio": areas / areas.sum(),
        "changed": np.nan,
        "feature": groups.features.astype(np.float16),
    }
    return Rows.filled(PARTS, count, columns).take(areas > 0)
