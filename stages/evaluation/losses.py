"""The ledger of losses: which step of the method costs how many points.

The ground truth takes the place of the steps, of one less each time. What a step has cost is the mIoU without it minus
the mIoU with it, so along the steps that led to a result the losses add up to 100 minus its mIoU.
``docs/part_benchmarks.md`` has the exact definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from pdstore import Catalog

__all__ = ["ADVICE", "NAMES", "PARTS", "Loss", "Step", "advice", "path_to", "read_losses", "steps_of", "with_losses"]

Given = Literal["parts", "names", ""]
"""What the ground truth gives: the parts inside the masks, the name of each mask, or nothing."""
PARTS: Given = "parts"
NAMES: Given = "names"
NOTHING: Given = ""

ADVICE: Mapping[str, tuple[str, str]] = {
    "objects": ("the object masks", "use a better detector or better weights, or ask for more certain objects"),
    "division": ("dividing objects into parts", "change k, the features or the metric of the grouping"),
    "smoothing": ("smoothing the segments", "weaken the CRF, or leave it out"),
    "choice": ("the proposals and the choice among them", "lower min_score, or train the proposal model longer"),
    "naming": ("naming: one cluster is not one part", "change k, the features or the metric of the ranking"),
    "distillation": ("the masks of the final model", "train it longer, or lower the threshold of its prediction"),
}
"""Step -> what is lost there, and what can be done about it."""


@dataclass(frozen=True)
class Step:
    """One step of the ledger.

    Attributes:
        role: what is scored: ``objects``, ``segments``, ``labels`` or ``predicted``.
        number: which of the role's nodes.
        name: the step.
        given: what the ground truth gives.
        after: the step that it is compared with; None for 100 percent.
    """

    role: str
    number: int
    name: str
    given: Given
    after: Step | None


@dataclass(frozen=True)
class Loss:
    """A row of the table ``losses``; ``miou``, ``ar`` and ``lost`` are percent."""

    position: int
    evaluated: str
    step: str
    given: str
    after: str
    miou: float
    ar: float
    lost: float


def steps_of(num_nodes: Mapping[str, int]) -> list[Step]:
    """The steps, each behind the one that it is compared with.

    Args:
        num_nodes: role -> number of nodes that are scored.
    """
    steps: list[Step] = []

    def add(role: str, name: str, given: Given, after: Step | None, number: int = 0) -> Step:
        steps.append(Step(role, number, name, given, after))
        return steps[-1]

    last: Step | None = None
    if num_nodes.get("objects"):
        last = add("objects", "objects", PARTS, last)
    for number in range(num_nodes.get("segments", 0)):
        last = add("segments", "smoothing" if number else "division", NAMES, last, number)
    for role, name in (("labels", "choice"), ("predicted", "distillation")):
        if num_nodes.get(role):
            last = add(role, name, NAMES, last)
            add(role, "naming", NOTHING, last)
    return steps


def with_losses(nodes: Mapping[str, Sequence[str]], score: Callable[[Step], tuple[float, float]]) -> list[Loss]:
    """The ledger.

    Args:
        nodes: role -> the nodes that are scored.
        score: a step -> its mIoU and AR, in percent.
    """
    steps = steps_of({role: len(names) for role, names in nodes.items()})
    scores = {step: score(step) for step in steps}
    losses = []
    for position, step in enumerate(steps):
        miou, ar = scores[step]
        before, after = (scores[step.after][0], step.after.name) if step.after else (100.0, "")
        evaluated = nodes[step.role][step.number]
        losses.append(Loss(position, evaluated, step.name, step.given, after, miou, ar, before - miou))
    return losses


def read_losses(catalog: Catalog, node: str) -> list[Loss]:
    """The rows that a node of stage ``losses`` has written, in their order; none before it has run."""
    names = ", ".join(field.name for field in fields(Loss))
    rows = catalog.query(f"SELECT {names} FROM losses WHERE node = '{node}' ORDER BY position").to_pylist()
    return [Loss(**row) for row in rows]


def path_to(losses: Sequence[Loss], last: Loss) -> list[Loss]:
    """The rows that led to a row, and the row itself; their losses add up to 100 minus its mIoU."""
    path = [last]
    while path[0].after:
        before = (row for row in reversed(losses) if row.position < path[0].position and row.step == path[0].after)
        path.insert(0, next(before))
    return path


def _results(losses: Sequence[Loss]) -> Iterator[Loss]:
    """The rows of what is used in the end: those with which no other row is compared."""
    compared = {id(path_to(losses, row)[-2]) for row in losses if row.after}
    return (row for row in losses if id(row) not in compared)


def advice(losses: Sequence[Loss]) -> str:
    """One sentence on the largest loss on the way to the last result, and what to do about it; empty if none is."""
    results = list(_results(losses))
    if not results:
        return ""
    path = path_to(losses, results[-1])
    largest = max(path, key=lambda row: row.lost)
    if largest.lost <= 0:
        return ""
    what, remedy = ADVICE[largest.step]
    return f"{results[-1].evaluated} loses most by {what} ({largest.evaluated}): {largest.lost:.1f} points; {remedy}."
