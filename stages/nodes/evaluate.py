"""Score a node's masks against ground truth by the honest protocol, the published one, or both.

``predicted`` (labels, predictions, or whole objects as one part) is scored by mIoU and AR. ``segments`` (proposals or
parts) have no clusters. They are scored by AR, both overlapping as they are (``AR@n``) and with one label per pixel
(``AR@n-unique``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Layer, Rows
from pdstore.errors import InputMissing, UsageError
from schemas.stages import EvalSettings
from schemas.tables import METRICS
from stages.evaluation.samples import Parts
from stages.evaluation.tally import Counts, Tally
from stages.kernels.evaluation import Scores
from stages.kernels.protocol import HONEST, PROTOCOLS, REFERENCE, Protocol
from stages.stage import CONFUSION
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: EvalSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError if there is nothing to score, or the published protocol lacks the true objects."""
    protocols = PROTOCOLS[settings.protocol]

    def run(unit: Unit) -> Output:
        layers = {role: unit.layer(role) for role in unit.layers}
        _check_inputs(layers, protocols)
        truth = _Truth.read(layers["truth"], setup)
        scored: list[str] = [role for role in ("predicted", "segments") if role in layers]
        clusters = {role: _num_clusters(layers[role]) for role in scored}
        splits = settings.vote_split, settings.test_split
        limits, reference = settings.ar_limits, settings.reference_splits
        tally = Tally(layers, clusters, truth.parts, protocols, splits, limits, reference)
        taught = truth.taught(layers["predicted"], clusters["predicted"]) if "predicted" in layers else None
        records: list[dict[str, Any]] = []
        tables: list[dict[str, Any]] = []
        for (role, name), counts in _counted(tally, unit, settings.processes).items():
            scores = counts.scores(taught if role == "predicted" else None)
            if name == HONEST.name:
                _check_splits(scores, needs_votes=role == "predicted" and taught is None, settings=settings)
            origin = {"evaluated": layers[role].node, "protocol": name}
            records += [origin | record for record in truth.records(scores)]
            tables += [origin | table for table in truth.confusions(scores)]
        return Output(Rows.from_records(METRICS, records), {CONFUSION: json.dumps(tables).encode()})

    return run


def _check_inputs(layers: dict[str, Layer], protocols: Sequence[Protocol]) -> None:
    if not {"predicted", "segments"} & set(layers):
        raise UsageError("the inputs predicted and segments are both missing", "eval", "Add one to the node's inputs")
    if REFERENCE in protocols and "truth_objects" not in layers:
        fix = "Add the input truth_objects, or set protocol=honest"
        raise UsageError("the published protocol needs true object masks, but there are none", "eval", fix)


def _check_splits(scores: Scores, needs_votes: bool, settings: EvalSettings) -> None:
    for key, count in (("vote_split", scores.num_voters), ("test_split", scores.num_images)):
        if not count and (needs_votes or key == "test_split"):
            fix = f"Set another {key}, or protocol=reference, which needs no splits"
            problem = f"no image of split {getattr(settings, key)!r} has ground truth of its class"
            raise UsageError(problem, f"eval, {key}", fix)


def _num_clusters(layer: Layer) -> int:
    """The number of clusters in a layer: 0 for segments, which have none; 1 for whole objects."""
    if "cluster" not in layer.table.names:
        return int(layer.table.name == "objects")
    return 1 + max((int(rows["cluster"].max(initial=0)) for rows in layer.scan(["cluster"])), default=0)


def _counted(tally: Tally, unit: Unit, processes: int) -> Counts:
    """The sum of the counts of every block that all inputs have."""
    total = tally.nothing()
    for so_far in tally.of_blocks(unit.blocks(*unit.layers), processes):
        unit.check_stop()
        unit.advance(1)
        total = so_far
    return total


@dataclass(frozen=True)
class _Truth:
    """The names in the ground truth.

    Attributes:
        parts: (category, part) -> number of the part.
        categories: class_id -> name in the ground truth. shown: class_id -> name in metrics, which is unique.
    """

    parts: Parts
    categories: Mapping[int, str]
    shown: Mapping[int, str]

    @classmethod
    def read(cls, layer: Layer, setup: Setup) -> _Truth:
        """Read the names from the true parts. Raises InputMissing if there is no part."""
        pairs: set[tuple[str, str]] = set()
        categories: dict[int, str] = {}
        for rows in layer.scan(["category_id", "category_name", "part_name"]):
            pairs |= set(zip(rows["category_name"], rows["part_name"], strict=True))
            categories |= dict(zip(rows["category_id"].tolist(), rows["category_name"], strict=True))
        if not pairs:
            raise InputMissing("there are no ground-truth parts", layer.node, "Check its setting file, or folder")
        occurrences = Counter(c.name for c in setup.classes)
        # Classes of PartImageNet share the name of their super-category.
        shown = {c.class_id: c.name if occurrences[c.name] == 1 else c.wnid for c in setup.classes}
        return cls({pair: number for number, pair in enumerate(sorted(pairs))}, categories, shown)

    def taught(self, predicted: Layer, num_clusters: int) -> dict[int, npt.NDArray[np.int64]] | None:
        """Object class -> (K,) part of each cluster, for a model that was taught part names; None if it was not.

        A taught name is a part, or an object class and a part: ``head`` or ``quadruped head``.
        """
        if "part_name" not in predicted.table.names:
            return None
        names: dict[int, str] = {}
        for rows in predicted.scan(["cluster", "part_name"]):
            names |= dict(zip(rows["cluster"].tolist(), rows["part_name"], strict=True))
        if not any(names.values()):
            return None
        background = len(self.parts)
        vote = {class_id: np.full(num_clusters, background, np.int64) for class_id in self.categories}
        for class_id, category in self.categories.items():
            for cluster, name in names.items():
                part = self.parts.get((category, name.removeprefix(f"{category} ")))
                vote[class_id][cluster] = background if part is None else part
        return vote

    def records(self, scores: Scores) -> Iterator[dict[str, Any]]:
        """Rows of ``metrics``."""
        part_names = [part for _, part in self.parts]
        rows = [(metric, "", "", value) for metric, value in scores.metrics.items()]
        rows += [("mIoU", self.shown[c], "", value) for c, value in scores.class_miou.items()]
        rows += [("IoU", self.shown[c], part_names[p], value) for (c, p), value in scores.part_iou.items()]
        rows.append(("samples", "", "", float(scores.num_images)))
        for metric, class_name, part_name, value in rows:
            yield {"metric": metric, "class_name": class_name, "part_name": part_name, "step": 0, "value": value}

    def confusions(self, scores: Scores) -> Iterator[dict[str, Any]]:
        """For each class, the pixels of true part × predicted part, for the parts that occur, background last."""
        names = [*(part for _, part in self.parts), "background"]
        for class_id, pixels in scores.confusion.items():
            occurs = np.flatnonzero(np.append((pixels.sum(0) + pixels.sum(1))[:-1] > 0, True))
            yield {
                "class_name": self.shown[class_id],
                "parts": [names[n] for n in occurs],
                "pixels": pixels.T[np.ix_(occurs, occurs)].tolist(),
            }
