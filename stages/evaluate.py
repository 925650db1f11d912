"""Score a node's masks against ground truth, by the honest protocol, the published one, or both.

``predicted`` (labels, predictions, or whole objects as one part) is scored by mIoU and AR. ``segments`` (proposals or
parts) have no clusters: they are scored by AR, overlapping as they are (``AR@n``) and with one label a pixel
(``AR@n-unique``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pdstore import Layer, Rows
from pdstore.errors import InputMissing, Preempted, UsageError
from schemas.stages import EvalSettings
from schemas.tables import METRICS
from stages.kernels.evaluation import HONEST, REFERENCE, Protocol, Scores
from stages.tally import Counts, Parts, Tally
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: EvalSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError if there is nothing to score, or the published protocol lacks the true objects."""
    protocols = {"honest": [HONEST], "reference": [REFERENCE], "both": [HONEST, REFERENCE]}[settings.protocol]

    def run(unit: Unit) -> Output:
        layers = {role: unit.layer(role) for role in unit.layers}
        _check_inputs(layers, protocols)
        clusters = {"predicted": _num_clusters(layers["predicted"])} if "predicted" in layers else {}
        clusters |= {"segments": 0} if "segments" in layers else {}
        parts = _part_names(layers["truth"])
        tally = Tally(
            layers, clusters, parts, protocols, (settings.vote_split, settings.test_split), settings.ar_limits
        )
        records: list[dict[str, Any]] = []
        for (role, name), counts in _counted(tally, unit, settings.processes).items():
            scores = counts.scores()
            if name == HONEST.name:
                _check_splits(scores, role, settings)
            records += _records(layers[role].node, name, scores, parts, setup)
        return Output(Rows.from_records(METRICS, records))

    return run


def _check_inputs(layers: dict[str, Layer], protocols: list[Protocol]) -> None:
    if not {"predicted", "segments"} & set(layers):
        raise UsageError("an input predicted or segments", "none", "eval", "Add one to the node's inputs")
    if REFERENCE in protocols and "truth_objects" not in layers:
        fix = "Add the input truth_objects, or set protocol=honest"
        raise UsageError("true object masks for the published protocol", "none", "eval", fix)


def _check_splits(scores: Scores, role: str, settings: EvalSettings) -> None:
    for key, count in (("vote_split", scores.num_voters), ("test_split", scores.num_images)):
        if not count and (role == "predicted" or key == "test_split"):
            expected = f"images of split {getattr(settings, key)!r} with ground truth of their own class"
            fix = f"Set another {key}, or protocol=reference, which needs no splits"
            raise UsageError(expected, "none", f"eval, {key}", fix)


def _part_names(truth: Layer) -> Parts:
    names: set[tuple[str, str]] = set()
    for rows in truth.scan(["category_name", "part_name"]):
        names |= set(zip(rows["category_name"], rows["part_name"], strict=True))
    if not names:
        raise InputMissing("ground-truth parts", "none", truth.node, "Look at its file setting")
    return {name: number for number, name in enumerate(sorted(names))}


def _num_clusters(predicted: Layer) -> int:
    """Whole objects are one cluster."""
    if "cluster" not in predicted.table.names:
        return 1
    return 1 + max((int(rows["cluster"].max(initial=0)) for rows in predicted.scan(["cluster"])), default=0)


def _counted(tally: Tally, unit: Unit, processes: int) -> Counts:
    """The counts of every block that all inputs have."""
    total = tally.nothing()
    for so_far in tally.of_blocks(unit.blocks(*unit.layers), processes):
        if unit.should_stop():
            raise Preempted("to finish the evaluation", "a request to stop", "eval")
        unit.advance(1)
        total = so_far
    return total


def _records(node: str, protocol: str, scores: Scores, parts: Parts, setup: Setup) -> list[dict[str, Any]]:
    names = {number: name for name, number in parts.items()}
    classes = {c.class_id: c.name for c in setup.classes}
    rows = [(metric, "", "", value) for metric, value in scores.metrics.items()]
    rows += [("mIoU", classes[c], "", value) for c, value in scores.class_miou.items()]
    rows += [("IoU", classes[c], names[p][1], value) for (c, p), value in scores.part_iou.items()]
    rows.append(("images", "", "", float(scores.num_images)))
    return [
        {
            "evaluated": node,
            "protocol": protocol,
            "metric": metric,
            "class_name": class_name,
            "part_name": part_name,
            "step": 0,
            "value": value,
        }
        for metric, class_name, part_name, value in rows
    ]
