"""Part ranking: k-means over the segments' features of each object class; a cluster is a part of the class.

Source: paper §3.3; reference ``part_ranking_model.py``. Out of core: one pass over the blocks writes the features of
the bucket's classes to a file a class, then one class at a time is in memory. No network is run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pdstore import Rows
from schemas.stages import RankingSettings
from schemas.tables import CLUSTERS
from stages.kernels.ranking import TooFewPoints, cluster
from stages.registry import BUCKET_SIZE
from stages.segments import ObjectSegments, chosen_objects, object_segments, segment_rows
from stages.source.listing import ImageClass
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: RankingSettings, setup: Setup) -> Callable[[Unit], Output]:
    """A class with too few segments is a row of ``errors``, never random centroids."""

    def run(unit: Unit) -> Output:
        classes = setup.classes[unit.number * BUCKET_SIZE : (unit.number + 1) * BUCKET_SIZE]
        clusters: list[Rows] = []
        with tempfile.TemporaryDirectory(prefix="ranking-") as folder:
            width = _spill(unit, {c.class_id for c in classes}, settings, Path(folder))
            for one in classes:
                path = Path(folder) / str(one.class_id)
                features = np.fromfile(path, np.float16) if path.exists() else np.zeros(0, np.float16)
                try:
                    clusters.append(_clusters(one, features.reshape(-1, max(width, 1)), settings))
                except TooFewPoints as error:
                    unit.reject(-1, "too_few_points", str(error), one.name)
        return Output(Rows.concat(CLUSTERS, clusters))

    return run


def _clusters(one: ImageClass, features: npt.NDArray[np.float16], settings: RankingSettings) -> Rows:
    found = cluster(features, settings.k, settings.metric, settings.normalize, settings.seed, n_init=settings.n_init)
    columns = {
        "category_id": one.class_id,
        "cluster": np.arange(settings.k),
        "size": found.counts,
        "mean_distance": found.within,
        "silhouette": found.silhouettes,
        "centroid": found.centroids,
    }
    return Rows.filled(CLUSTERS, settings.k, columns)


def _spill(unit: Unit, wanted: set[int], settings: RankingSettings, folder: Path) -> int:
    """Append the features of every wanted class to its file; the width of a feature, 0 if there is none."""
    width = 0
    for block in unit.blocks("images", "objects", "segments"):
        unit.check_stop()
        for found in _chosen(unit, block, wanted, settings):
            width = found.features.shape[1]
            with (folder / str(found.category_id)).open("ab") as file:
                found.features.tofile(file)
        unit.advance(1)
    return width


def _chosen(unit: Unit, number: int, wanted: set[int], settings: RankingSettings) -> Iterator[ObjectSegments]:
    block = unit.block(number)
    images = block.rows("images", ["image_id", "class_id", "split"])
    of_split = images["image_id"][(images["split"] == settings.split) | (not settings.split)]
    objects = chosen_objects(block.rows("objects"), images)
    objects = objects.take(np.isin(objects["category_id"], list(wanted)) & np.isin(objects["image_id"], of_split))
    if not len(objects):
        return
    for segments in object_segments(objects, segment_rows(block)):
        confident = segments.confident(settings.min_score, settings.min_inside)
        chosen = confident.large(settings.min_object_ratio, one_a_pixel=settings.unique_pixels)
        if len(chosen.scores):
            yield chosen
