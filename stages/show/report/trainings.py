"""The losses of the trainings, from the rows that each training has written to ``metrics``."""

from __future__ import annotations

from dataclasses import dataclass

from pdstore import Catalog
from stages.plan.pipeline import Pipeline

__all__ = ["Training", "read_trainings"]

_LOSSES = "SELECT node, step, value FROM metrics WHERE protocol = 'train' AND metric = 'loss' ORDER BY node, step"


@dataclass(frozen=True)
class Training:
    """The losses of one training.

    Attributes:
        steps: (step, loss), in rising order of the steps.
    """

    node: str
    steps: tuple[tuple[int, float], ...]


def read_trainings(catalog: Catalog, pipeline: Pipeline) -> list[Training]:
    """The finished trainings, in the pipeline's order."""
    rows = catalog.query(_LOSSES).to_pylist()
    trainings = [
        Training(name, tuple((row["step"], row["value"]) for row in rows if row["node"] == name))
        for name in pipeline.nodes
    ]
    return [training for training in trainings if training.steps]
