"""Proxies for the losses, without ground truth: how stable and how separate segments and clusters are.

A sample of the objects is grouped again with the settings of the layer that is measured, and a sample of the candidates
of each class is clustered again with those of its clusters: from another seed, on mirrored images, with another k.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pdstore import Layer, Rows
from pdstore.errors import UsageError
from pdstore.slices.reader import Slices
from schemas.base import Settings
from schemas.stages import GroupingSettings, ProxiesSettings, RankingSettings
from schemas.tables import PROXIES
from stages.block import Block
from stages.evaluation.proxies import DIVISION, NAMING, Measured, Proxy, averaged
from stages.evaluation.truth_names import unique_names
from stages.features.protocol import Features, Maps
from stages.kernels.clustering.kmeans import TooFewPoints
from stages.kernels.clustering.stability import Method, of_class, of_object
from stages.source.frames import mask_in_frame
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

BLOCKS_AT_ONCE = 256
REPEATED = frozenset(
    {"backend", "out_features", "k", "n_init", "metric", "normalize", "maps", "input_scale", "stride", "seed"}
    | {"objects_per_image", "long_side", "precision"}
)
"""Settings of a layer with which it is made again. With others it is measured without what they change."""

Floats = npt.NDArray[np.float32]
S = TypeVar("S", bound=Settings)
_PAIRS = ("segments", "objects"), ("clusters", "candidates")
"""What is measured, and what it was made from."""


class _MirroredBlock(Block):
    """The same block with every picture mirrored, left for right."""

    def pictures(self, *arguments: Any, **options: Any) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        for image_id, pixels in super().pictures(*arguments, **options):
            yield image_id, np.ascontiguousarray(pixels[:, ::-1])


class _MirroredUnit(Unit):
    """A unit whose own block is mirrored."""

    @cached_property
    def own_block(self) -> Block:
        return _MirroredBlock(self, self.number)


def start(settings: ProxiesSettings, setup: Setup) -> Callable[[Unit], Output]:
    """An object or a class with too few points has no row. Raises UsageError if there is nothing to measure."""
    names = unique_names(setup.classes)

    def run(unit: Unit) -> Output:
        measured = [one for one, source in _PAIRS if _has(unit, one, source)]
        if not measured:
            fix = "Add a node of stage grouping, or one of stage ranking, to the node's inputs"
            raise UsageError("both of the inputs segments and clusters are missing", unit.node, fix)
        found: list[Proxy] = []
        if "segments" in measured:
            objects = _of_objects(unit, settings, setup, names)
            found += averaged(unit.layer("segments").node, DIVISION, objects)
        if "clusters" in measured:
            classes = _of_classes(unit, settings, names)
            found += averaged(unit.layer("clusters").node, NAMING, classes)
        return Output(Rows.from_records(PROXIES, [asdict(row) for row in found]))

    return run


def _has(unit: Unit, role: str, source: str) -> bool:
    """Whether a role is measured. Raises UsageError if one of the two inputs is there without the other."""
    given = {name for name in (role, source) if unit.layers.get(name)}
    if len(given) == 1:
        other = ({role, source} - given).pop()
        raise UsageError(f"the input {given.pop()} needs an input {other}, but there is none", unit.node, "Add it")
    return bool(given)


def _settings_of(unit: Unit, layer: Layer, stage: str, cls: type[S], **more: Any) -> S:
    """The settings that made a layer, without the files that they named. Raises UsageError for one of another stage."""
    identity = layer.info.identity
    if identity.stage != stage:
        problem = f"this node is of stage {identity.stage}, and only the results of stage {stage} can be made again"
        raise UsageError(problem, layer.node, f"Name the node of stage {stage} that it was made from")
    others = sorted(identity.settings.keys() - REPEATED)
    if others:
        unit.note(f"{layer.node} is measured as plain k-means, without its settings {', '.join(others)}")
    return cls.parse({**identity.settings, **more}, layer.node)


def _of_objects(
    unit: Unit, settings: ProxiesSettings, setup: Setup, names: Mapping[int, str]
) -> dict[str, list[Measured]]:
    """Object class -> what was measured of each drawn object."""
    grouping = _settings_of(unit, unit.layer("segments"), "grouping", GroupingSettings, weights=settings.weights)
    # A backend is the name of its module.
    features: Features = importlib.import_module(f"stages.features.{grouping.backend}").start(grouping, setup)
    method = Method(grouping.k, grouping.metric, grouping.seed, grouping.n_init)
    found: dict[str, list[Measured]] = {}
    for block, objects in _drawn(unit, grouping.objects_per_image, settings):
        for image_id, rows in objects.by("image_id").items():
            unit.check_stop()
            own = _maps(Unit, features, unit, block, image_id)
            mirrored = None if own is None else _maps(_MirroredUnit, features, unit, block, image_id)
            if own is None or mirrored is None:
                continue
            for row in rows.tolist():
                mask = mask_in_frame(objects, row, grouping.long_side)
                try:
                    values = of_object(own, mirrored, mask, method)
                except TooFewPoints:
                    continue
                category = int(objects["category_id"][row])
                found.setdefault(names.get(category, objects["category_name"][row]), []).append(Measured(values))
    return found


def _drawn(unit: Unit, objects_per_image: int, settings: ProxiesSettings) -> Iterator[tuple[int, Rows]]:
    """(block, its rows of ``objects`` that were drawn), without replacement, from all that were grouped."""
    numbers = unit.blocks("images", "objects", "segments")
    counts = []
    for number in numbers:
        unit.check_stop()
        counts.append(int((unit.block(number).rows("objects", ["object_id"])["object_id"] < objects_per_image).sum()))
    total, rng = sum(counts), np.random.default_rng(settings.seed)
    drawn = np.sort(rng.choice(total, min(total, settings.objects), replace=False))
    last = np.cumsum(counts)
    for number, high, count in zip(numbers, last.tolist(), counts, strict=True):
        chosen = drawn[(drawn >= high - count) & (drawn < high)] - (high - count)
        if len(chosen):
            objects = unit.block(number).rows("objects")
            yield number, objects.take(objects["object_id"] < objects_per_image).take(chosen)


def _maps(
    kind: type[Unit], features: Features, unit: Unit, block: int, image_id: int
) -> npt.NDArray[np.float32] | None:
    """(C, h, w): the features of an image, or, with ``_MirroredUnit``, of its mirror image; None if it is rejected."""
    # The faults are those of the unit: the records are shared.
    shared = {field.name: getattr(unit, field.name) for field in fields(unit)}
    of_block = kind(**{**shared, "number": block})
    maps = next((maps for _, maps in features(of_block, [image_id])), None)
    return None if maps is None else _array(maps)


def _array(maps: Maps) -> Floats:
    # On a GPU the maps are tensors there; a sample is small enough for the CPU.
    return maps if isinstance(maps, np.ndarray) else np.asarray(maps.cpu().numpy(), np.float32)


def _of_classes(unit: Unit, settings: ProxiesSettings, names: Mapping[int, str]) -> dict[str, list[Measured]]:
    """Object class -> what was measured of its candidates; a class with too few becomes a row of ``errors``."""
    ranking = _settings_of(unit, unit.layer("clusters"), "ranking", RankingSettings)
    method = Method(ranking.k, ranking.metric, ranking.seed, ranking.n_init)
    layer, blocks = unit.layer("candidates"), unit.blocks("candidates")
    slices = Slices(layer.store.files, layer, "feature")
    for first in range(0, len(blocks), BLOCKS_AT_ONCE):
        unit.check_stop()
        slices.open(blocks[first : first + BLOCKS_AT_ONCE])
    present = np.flatnonzero(slices.count(blocks, 0, len(names)) >= ranking.k)
    drawn = np.sort(np.random.default_rng(settings.seed).permutation(present)[: settings.classes])
    found: dict[str, list[Measured]] = {}
    for category in drawn.tolist():
        unit.check_stop()
        features = slices.read(blocks, category, category + 1)[category]
        if len(features) > settings.segments:
            rng = np.random.default_rng((settings.seed, category))
            features = features[np.sort(rng.choice(len(features), settings.segments, replace=False))]
        try:
            values = of_class(features, ranking.normalize, method)
        except TooFewPoints as error:
            unit.reject(-1, "too_few_points", str(error), names[category], of="class")
        else:
            found[names[category]] = [Measured(values, len(features))]
    return found
