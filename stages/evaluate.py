"""Score a node's masks against ground truth, by the honest protocol, the published one, or both.

``predicted`` (labels, predictions, or whole objects as one part) is scored by mIoU and AR; with ``segments``
(proposals or parts) AR is that of the segments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pdstore import Ragged, Rows, masks
from pdstore.errors import InputMissing, Preempted, UsageError
from schemas.stages import EvalSettings
from schemas.tables import METRICS
from stages.kernels.evaluation import HONEST, REFERENCE, Evaluation, ImageResult, Protocol, Scores
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

Parts = dict[tuple[str, str], int]
"""(object class, part) -> number of the part."""


def start(settings: EvalSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError if there is nothing to score, or the published protocol lacks the true objects."""
    protocols = {"honest": [HONEST], "reference": [REFERENCE], "both": [HONEST, REFERENCE]}[settings.protocol]

    def run(unit: Unit) -> Output:
        if not {"predicted", "segments"} & set(unit.layers):
            raise UsageError("an input predicted or segments", "none", "eval", "Add one to the node's inputs")
        if REFERENCE in protocols and "truth_objects" not in unit.layers:
            fix = "Add the input truth_objects, or set protocol=honest"
            raise UsageError("true object masks for the published protocol", "none", "eval", fix)
        parts = _part_names(unit)
        records: list[dict[str, Any]] = []
        for protocol in protocols:
            for role in ("predicted", "segments"):
                if role in unit.layers:
                    scores = _score(unit, role, protocol, parts, settings)
                    records += _records(unit.layer(role).node, protocol, scores, parts, setup)
        return Output(Rows.from_records(METRICS, records))

    return run


def _part_names(unit: Unit) -> Parts:
    names: set[tuple[str, str]] = set()
    for rows in unit.layer("truth").scan(["category_name", "part_name"]):
        names |= set(zip(rows["category_name"], rows["part_name"], strict=True))
    if not names:
        raise InputMissing("ground-truth parts", "none", unit.layer("truth").node, "Look at its file setting")
    return {name: number for number, name in enumerate(sorted(names))}


def _score(unit: Unit, role: str, protocol: Protocol, parts: Parts, settings: EvalSettings) -> Scores:
    voters: set[int] | None = None
    if protocol.splits:
        images = unit.layer("images").scan(["image_id", "split"])
        voters = {i for rows in images for i in rows["image_id"][rows["split"] == settings.vote_split].tolist()}
    layer = unit.layer(role)
    has_clusters = "cluster" in layer.table.names
    last = max((int(r["cluster"].max(initial=0)) for r in layer.scan(["cluster"])), default=0) if has_clusters else 0
    evaluation = Evaluation(len(parts), last + 1, protocol, voters, settings.ar_limits)
    read = [name for name in ("images", "truth", "truth_objects", role) if name in unit.layers]
    for block in unit.blocks(*read):
        if unit.should_stop():
            raise Preempted("to finish the evaluation", "a request to stop", layer.node)
        for result in _results(unit, role, block, parts, settings, voters):
            evaluation.add(result)
        unit.advance(1)
    return evaluation.scores()


def _results(
    unit: Unit, role: str, block: int, parts: Parts, settings: EvalSettings, voters: set[int] | None
) -> Iterator[ImageResult]:
    """The block's images that have ground truth of their own class; predictions of other objects are left out."""
    images = unit.layer("images").read(block, ["image_id", "class_id", "class_name", "split", "height", "width"])
    truth, found = unit.layer("truth").read(block), unit.layer(role).read(block)
    if "object_id" in found.columns:
        found = found.take(found["object_id"] == 0)
    outlines = unit.layer("truth_objects").read(block) if "truth_objects" in unit.layers else None
    true_rows, found_rows, none = truth.by("image_id"), found.by("image_id"), np.zeros(0, np.int64)
    for i in range(len(images)):
        image_id, name = int(images["image_id"][i]), images["class_name"][i].lower()
        own = truth.take(true_rows.get(image_id, none))
        own = own.take(own["category_name"] == name)
        if not len(own) or (
            voters is not None and images["split"][i] not in (settings.vote_split, settings.test_split)
        ):
            continue
        predicted = found.take(found_rows.get(image_id, none))
        height, width = int(images["height"][i]), int(images["width"][i])
        clusters = predicted["cluster"] if "cluster" in predicted.columns else np.zeros(len(predicted), np.int64)
        yield ImageResult(
            image_id,
            int(images["class_id"][i]),
            _outline(outlines, image_id, name, height, width),
            own.ragged("rle"),
            [parts[name, part] for part in own["part_name"]],
            predicted.ragged("rle"),
            clusters,
            predicted["score"],
            size=(height, width),
        )


def _outline(outlines: Rows | None, image_id: int, name: str, height: int, width: int) -> np.ndarray | None:
    if outlines is None:
        return None
    own = outlines.take((outlines["image_id"] == image_id) & (outlines["category_name"] == name))
    rle: Ragged = own.ragged("rle")
    return masks.decode_one(masks.union(rle, height, width), height, width)


def _records(node: str, protocol: Protocol, scores: Scores, parts: Parts, setup: Setup) -> list[dict[str, Any]]:
    names = {number: name for name, number in parts.items()}
    classes = {c.class_id: c.name for c in setup.classes}
    rows = [(metric, "", "", value) for metric, value in scores.metrics.items()]
    rows += [("mIoU", classes[c], "", value) for c, value in scores.class_miou.items()]
    rows += [("IoU", classes[c], names[p][1], value) for (c, p), value in scores.part_iou.items()]
    rows.append(("images", "", "", float(scores.num_images)))
    return [
        {
            "evaluated": node,
            "protocol": protocol.name,
            "metric": metric,
            "class_name": class_name,
            "part_name": part_name,
            "step": 0,
            "value": value,
        }
        for metric, class_name, part_name, value in rows
    ]
