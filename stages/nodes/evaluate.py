"""Score a node's masks against ground truth by the honest protocol, the published one, or both.

``predicted`` (labels, predictions, or whole objects as one part) is scored by mIoU and AR. ``segments`` (proposals or
parts) have no clusters. They are scored by AR, both overlapping as they are (``AR@n``) and with one label per pixel
(``AR@n-unique``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from pdstore import Layer, Rows
from pdstore.errors import UsageError
from schemas.stages import EvalSettings
from schemas.tables import METRICS
from stages.evaluation.tally import Tally, check_splits, num_clusters
from stages.evaluation.truth_names import TruthNames
from stages.kernels.protocol import HONEST, PROTOCOLS, REFERENCE, Protocol
from stages.stage import CONFUSION
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

_NEEDS_NO_SPLITS = ", or protocol=reference, which needs no splits"


def start(settings: EvalSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError if there is nothing to score, or the published protocol lacks the true objects."""
    protocols = PROTOCOLS[settings.protocol]

    def run(unit: Unit) -> Output:
        layers = {role: unit.layer(role) for role in unit.layers}
        _check_inputs(layers, protocols)
        truth = TruthNames.read(layers["truth"], setup)
        scored: list[str] = [role for role in ("predicted", "segments") if role in layers]
        clusters = {role: num_clusters(layers[role]) for role in scored}
        splits = settings.vote_split, settings.test_split
        limits, reference = settings.ar_limits, settings.reference_splits
        tally = Tally(layers, clusters, truth.parts, protocols, splits, limits, reference)
        taught = truth.taught(layers["predicted"], clusters["predicted"]) if "predicted" in layers else None
        records: list[dict[str, Any]] = []
        tables: list[dict[str, Any]] = []
        for (role, name), counts in tally.of_unit(unit, settings.processes).items():
            scores = counts.scores(taught if role == "predicted" else None)
            if name == HONEST.name:
                needs_votes = role == "predicted" and taught is None
                check_splits(scores, splits, "eval", needs_votes=needs_votes, other_fix=_NEEDS_NO_SPLITS)
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
