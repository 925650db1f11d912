"""Part ranking: k-means on the features of each object class's candidates; each cluster is one part of the class.

Source: paper §3.3; reference ``part_ranking_model.py``. It works out of core: a unit reads the candidates of its own
classes alone, as many classes at a time as fit into ``BATCH_BYTES``, at least one. No network is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pdstore import Layer, Rows
from pdstore.errors import UsageError
from pdstore.slices.reader import Slices
from schemas.stages import RankingSettings
from schemas.tables import CLUSTERS
from stages.kernels.naming.fit import How, fit
from stages.kernels.naming.scorer import SCORERS, Scorer, pack
from stages.kernels.ranking import Clusters, TooFewPoints, cluster
from stages.source.listing import ImageClass
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

BATCH_BYTES = 256 << 20
"""Features that are read together. Each batch reads a slice of every block, so larger batches make fewer reads."""
BLOCKS_AT_ONCE = 256

Features = npt.NDArray[np.float16]


def start(settings: RankingSettings, setup: Setup) -> Callable[[Unit], Output]:
    """A class with too few segments becomes a row of ``errors``; it never gets random centroids."""

    @lru_cache(1)
    def slices_of(layer: Layer) -> Slices:
        # Where the slices are is read once, for all buckets of this process.
        return Slices(layer.store.files, layer, "feature")

    how = How(**settings.model_dump(include={field.name for field in fields(How)}))

    def run(unit: Unit) -> Output:
        is_joined = _is_joined(unit.layer("candidates"), settings)
        first = unit.number * settings.classes_per_unit
        classes = setup.classes[first : first + settings.classes_per_unit]
        clusters: list[Rows] = []
        scorers: dict[int, Scorer] = {}
        for object_class, features in _features(unit, slices_of(unit.layer("candidates")), classes):
            unit.check_stop()
            try:
                if is_joined:
                    result, scorers[object_class.class_id] = fit(features, how)
                else:
                    metric, normalize, seed = settings.metric, settings.normalize, settings.seed
                    result = cluster(features, settings.k, metric, normalize, seed, n_init=settings.n_init)
                clusters.append(_rows(object_class, result))
            except TooFewPoints as error:
                unit.reject(-1, "too_few_points", str(error), object_class.name, of="class")
        return Output(Rows.concat(CLUSTERS, clusters), {SCORERS: pack(scorers)} if scorers else {})

    return run


def _is_joined(candidates: Layer, settings: RankingSettings) -> bool:
    """Whether the features of candidates are followed by places. Raises UsageError if they have to be, and are not."""
    is_joined = bool(candidates.info.identity.settings.get("place"))
    wanting = [name for name in settings.of_places if getattr(settings, name) and not is_joined]
    if wanting:
        problem = f"{', '.join(wanting)} of ranking: the candidates have no places"
        raise UsageError(problem, candidates.node, f"Set {candidates.node}.place=true")
    if is_joined and settings.metric != "l2":
        problem = f"metric={settings.metric}: candidates with places are compared by distance"
        raise UsageError(problem, candidates.node, f"Set metric=l2 at the ranking, or {candidates.node}.place=false")
    return is_joined


def _rows(object_class: ImageClass, result: Clusters) -> Rows:
    columns = {
        "category_id": object_class.class_id,
        "cluster": np.arange(len(result.counts)),
        "size": result.counts,
        "mean_distance": result.within,
        "silhouette": result.silhouettes,
        "centroid": result.centroids,
    }
    return Rows.filled(CLUSTERS, len(result.counts), columns)


def _features(unit: Unit, slices: Slices, classes: Sequence[ImageClass]) -> Iterator[tuple[ImageClass, Features]]:
    """Each class with the (N, D) features of its candidates, by block, image, object and segment."""
    blocks = unit.blocks("candidates")
    for first in range(0, len(blocks), BLOCKS_AT_ONCE):
        unit.check_stop()
        slices.open(blocks[first : first + BLOCKS_AT_ONCE])
    low, none = classes[0].class_id, np.zeros((0, 1), np.float16)
    sizes = slices.count(blocks, low, low + len(classes)) * slices.row_bytes(blocks)
    for first, last in _batches(sizes.tolist(), BATCH_BYTES):
        found = slices.read(blocks, low + first, low + last)
        for object_class in classes[first:last]:
            yield object_class, found.pop(object_class.class_id, none).astype(np.float16, copy=False)


def _batches(sizes: Sequence[int], limit: int) -> Iterator[tuple[int, int]]:
    """Cut consecutive items into runs (first, after the last) of at most ``limit`` together, or of a single item."""
    first = total = 0
    for position, size in enumerate(sizes):
        if position > first and total + size > limit:
            yield first, position
            first, total = position, 0
        total += size
    if len(sizes) > first:
        yield first, len(sizes)
