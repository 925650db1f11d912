"""The last model class by class: mIoU compared with that of the stages before it, parts, and confusions."""

from __future__ import annotations

from dataclasses import dataclass

from pdstore import Store
from stages.show.report.confusions import Confusion, read_confusions
from stages.show.report.ladder import Rung
from stages.show.report.scores import HONEST, DatasetScores

__all__ = ["ClassRow", "Classes", "read_classes"]

MAX_BARS = 40
MAX_MATRICES = 24


@dataclass(frozen=True)
class ClassRow:
    """One object class, in percent.

    Attributes:
        value: mIoU.
        before: title of an earlier stage -> its mIoU.
        parts: part -> IoU.
    """

    name: str
    value: float
    before: dict[str, float]
    parts: dict[str, float]


@dataclass(frozen=True)
class Classes:
    """The classes of a node, best first.

    Attributes:
        node: the node that is scored.
        title: what its masks are called.
        rows: all classes; if there are more than ``MAX_BARS``, the best and the worst of them.
        total: number of all classes.
        confusions: those of the classes with the lowest mIoU, lowest first.
    """

    node: str
    title: str
    protocol: str
    rows: tuple[ClassRow, ...]
    total: int
    confusions: tuple[Confusion, ...]


def read_classes(store: Store, scores: DatasetScores, rungs: list[Rung]) -> Classes | None:
    """The classes of the last stage that names parts; None if no such stage was scored."""
    named = [rung for rung in rungs if rung.miou_node and scores.classes(rung.miou_node, HONEST)]
    if named:
        node, title, protocol = named[-1].miou_node, named[-1].title, HONEST
    else:
        scored = [(name, p) for name in scores.evaluated for p in scores.protocols(name) if scores.classes(name, p)]
        if not scored:
            return None
        (node, protocol), title = scored[-1], scored[-1][0]
    values = scores.classes(node, protocol)
    order = sorted(values, key=lambda name: (-values[name], name))
    shown = order if len(order) <= MAX_BARS else [*order[: MAX_BARS // 2], *order[-MAX_BARS // 2 :]]
    before = {rung.title: scores.classes(rung.miou_node, protocol) for rung in named[:-1]}
    rows = [
        ClassRow(
            name,
            values[name],
            {stage: mious[name] for stage, mious in before.items() if name in mious},
            scores.parts(node, protocol, name),
        )
        for name in shown
    ]
    evaluation = scores.evaluation_of(node, protocol)
    matrices = read_confusions(store, evaluation, node, protocol) if evaluation else []
    worst = sorted(matrices, key=lambda matrix: values.get(matrix.class_name, 0.0))[:MAX_MATRICES]
    return Classes(node, title, protocol, tuple(rows), len(order), tuple(worst))
