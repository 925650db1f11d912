"""The ledger of losses: what each step costs, found by putting the ground truth in the place of those that follow.

Scores are those of the stage ``eval`` by the honest protocol, on held-out images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from pdstore import Rows
from pdstore.errors import UsageError
from schemas.stages import LossesSettings
from schemas.tables import LOSSES
from stages.evaluation.losses import NAMES, PARTS, Step, with_losses
from stages.evaluation.tally import Tally, check_splits, num_clusters
from stages.evaluation.truth_names import TruthNames
from stages.kernels.protocol import HONEST
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

_SCORED = ("objects", "segments", "labels", "predicted")


def start(settings: LossesSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError if there is nothing to score, or no image of the splits has ground truth."""
    splits = settings.vote_split, settings.test_split

    def run(unit: Unit) -> Output:
        scored = {_key(role, n): layer for role in _SCORED for n, layer in enumerate(unit.layers.get(role, ()))}
        if not scored:
            problem = f"all of the inputs {', '.join(_SCORED)} are missing"
            raise UsageError(problem, "losses", "Add one to the node's inputs")
        truth = TruthNames.read(unit.layer("truth"), setup)
        # Only masks with clusters are named by the truth: segments, which have none, share one.
        clusters = {key: num_clusters(layer) or 1 for key, layer in scored.items()}
        inside = frozenset(_key("objects", n) for n in range(len(unit.layers.get("objects", ()))))
        clusters |= dict.fromkeys(inside, len(truth.parts))
        layers = scored | {role: unit.layer(role) for role in ("images", "truth")}
        tally = Tally(layers, clusters, truth.parts, (HONEST,), splits, (settings.ar_limit,), inside=inside)
        counts = tally.of_unit(unit, settings.processes)

        def score(step: Step) -> tuple[float, float]:
            key = _key(step.role, step.number)
            taught = truth.own_names() if step.given == PARTS else None
            if not step.given:
                taught = truth.taught(scored[key], clusters[key])
            scores = counts[key, HONEST.name].scores(taught)
            check_splits(scores, splits, "losses", needs_votes=not step.given and taught is None)
            miou = scores.metrics["C-mIoU-oracle" if step.given == NAMES else "C-mIoU"]
            return miou, scores.metrics[f"AR@{settings.ar_limit}"]

        nodes = {role: [layer.node for layer in unit.layers.get(role, ())] for role in _SCORED}
        return Output(Rows.from_records(LOSSES, [asdict(loss) for loss in with_losses(nodes, score)]))

    return run


def _key(role: str, number: int) -> str:
    return f"{role} {number}"
