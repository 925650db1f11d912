"""Part ranking: k-means over the segments' features of each object class; a cluster is a part of the class.

Source: paper §3.3; reference ``part_ranking_model.py``. Out of core: one pass over the blocks writes the features of
the bucket's classes to a file a class, then one class at a time is in memory. No network is run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Rows
from pdstore.errors import Preempted
from schemas.stages import RankingSettings
from schemas.tables import CLUSTERS
from stages.kernels.ranking import TooFewPoints, cluster
from stages.plan.states import BUCKET
from stages.segments import ObjectSegments, chosen_objects, object_segments
from stages.source.listing import ImageClass
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: RankingSettings, setup: Setup) -> Callable[[Unit], Output]:
    """A class with too few segments is a row of ``errors``, never random centroids."""

    def run(unit: Unit) -> Output:
        classes = setup.classes[unit.number * BUCKET : (unit.number + 1) * BUCKET]
        records: list[dict[str, Any]] = []
        with tempfile.TemporaryDirectory(prefix="ranking-") as folder:
            width = _spill(unit, {c.class_id for c in classes}, settings, Path(folder))
            for one in classes:
                path = Path(folder) / str(one.class_id)
                features = np.fromfile(path, np.float16) if path.exists() else np.zeros(0, np.float16)
                try:
                    records += _clusters(one, features.reshape(-1, max(width, 1)), settings)
                except TooFewPoints as error:
                    unit.reject(-1, "too_few_points", str(error), one.name)
        return Output(Rows.from_records(CLUSTERS, records))

    return run


def _clusters(one: ImageClass, features: npt.NDArray[np.float16], settings: RankingSettings) -> list[dict[str, Any]]:
    found = cluster(features, settings.k, settings.metric, settings.normalize, settings.seed, n_init=settings.n_init)
    return [
        {
            "category_id": one.class_id,
            "cluster": number,
            "size": int(found.counts[number]),
            "mean_distance": float(found.within[number]),
            "silhouette": float(found.silhouettes[number]),
            "centroid": found.centroids[number],
        }
        for number in range(settings.k)
    ]


def _spill(unit: Unit, wanted: set[int], settings: RankingSettings, folder: Path) -> int:
    """Append the features of every wanted class to its file; the width of a feature, 0 if there is none."""
    width = 0
    for block in unit.blocks("images", "objects", "segments"):
        if unit.should_stop():
            raise Preempted("expected to finish the bucket, found a request to stop", f"bucket {unit.number}")
        for found in _chosen(unit, block, wanted, settings):
            width = found.features.shape[1]
            with (folder / str(found.category_id)).open("ab") as file:
                found.features.tofile(file)
        unit.advance(1)
    return width


def _chosen(unit: Unit, block: int, wanted: set[int], settings: RankingSettings) -> Iterator[ObjectSegments]:
    images = unit.layer("images").read(block, ["image_id", "class_id", "split"])
    of_split = set(images["image_id"][(images["split"] == settings.split) | (not settings.split)].tolist())
    objects = chosen_objects(unit.layer("objects").read(block), images)
    is_wanted = np.isin(objects["category_id"], list(wanted)) & np.isin(objects["image_id"], list(of_split))
    objects = objects.take(is_wanted)
    if not len(objects):
        return
    layer = unit.layer("segments")
    columns = [name for name in ("image_id", "object_id", "score", "rle", "feature") if name in layer.table.names]
    for found in object_segments(objects, layer.read(block, columns)):
        confident = found.confident(settings.min_score, settings.min_inside)
        chosen = confident.large(settings.min_object_ratio, one_a_pixel=settings.unique_pixels)
        if len(chosen.scores):
            yield chosen
