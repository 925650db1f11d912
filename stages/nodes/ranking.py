"""Part ranking: k-means on the features of each object class's segments; each cluster is one part of the class.

Source: paper §3.3; reference ``part_ranking_model.py``. It works out of core: one pass over the blocks writes the
features of the bucket's classes to one file per class, and then only one class at a time is in memory. No network is
run.
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
from stages.segments import ObjectSegments, chosen_objects, object_parts, object_segments, segment_rows
from stages.source.listing import ImageClass
from stages.stage import BUCKET_SIZE
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: RankingSettings, setup: Setup) -> Callable[[Unit], Output]:
    """A class with too few segments becomes a row of ``errors``; it never gets random centroids."""

    def run(unit: Unit) -> Output:
        classes = setup.classes[unit.number * BUCKET_SIZE : (unit.number + 1) * BUCKET_SIZE]
        clusters: list[Rows] = []
        with tempfile.TemporaryDirectory(prefix="ranking-") as folder:
            width = _spill(unit, {c.class_id for c in classes}, settings, Path(folder))
            for object_class in classes:
                path = Path(folder) / str(object_class.class_id)
                features = np.fromfile(path, np.float16) if path.exists() else np.zeros(0, np.float16)
                try:
                    clusters.append(_clusters(object_class, features.reshape(-1, max(width, 1)), settings))
                except TooFewPoints as error:
                    unit.reject(-1, "too_few_points", str(error), object_class.name, of="class")
        return Output(Rows.concat(CLUSTERS, clusters))

    return run


def _clusters(object_class: ImageClass, features: npt.NDArray[np.float16], settings: RankingSettings) -> Rows:
    result = cluster(features, settings.k, settings.metric, settings.normalize, settings.seed, n_init=settings.n_init)
    columns = {
        "category_id": object_class.class_id,
        "cluster": np.arange(settings.k),
        "size": result.counts,
        "mean_distance": result.within,
        "silhouette": result.silhouettes,
        "centroid": result.centroids,
    }
    return Rows.filled(CLUSTERS, settings.k, columns)


def _spill(unit: Unit, wanted: set[int], settings: RankingSettings, folder: Path) -> int:
    """Append the features of every wanted class to its file. Returns the width of a feature, 0 if there is none."""
    width = 0
    roles = [role for role in ("images", "objects", "segments", "parts") if role in unit.layers]
    for block in unit.blocks(*roles):
        unit.check_stop()
        for segments in _chosen(unit, block, wanted, settings):
            width = segments.features.shape[1]
            with (folder / str(segments.category_id)).open("ab") as file:
                segments.features.tofile(file)
        unit.advance(1)
    return width


def _chosen(unit: Unit, number: int, wanted: set[int], settings: RankingSettings) -> Iterator[ObjectSegments]:
    block = unit.block(number)
    parts = object_parts(unit, block, settings.object_mask)
    images = block.rows("images", ["image_id", "class_id", "split"])
    of_split = images["image_id"][(images["split"] == settings.split) | (not settings.split)]
    objects = chosen_objects(block.rows("objects"), images, settings.min_image_ratio)
    objects = objects.take(np.isin(objects["category_id"], list(wanted)) & np.isin(objects["image_id"], of_split))
    if not len(objects):
        return
    for segments in object_segments(objects, segment_rows(block), parts, min_score=settings.min_score):
        on_object = segments.on_object(settings.min_inside)
        chosen = on_object.large(settings.min_object_ratio, one_per_pixel=settings.unique_pixels)
        if len(chosen.scores):
            yield chosen
