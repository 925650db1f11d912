"""The numbers of the evaluations from the table ``metrics``, by data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pdstore import Catalog
from stages.plan.evaluations import dataset_name, is_truth_of_parts, metric_place, named_truth, scored_nodes
from stages.plan.pipeline import Node, Pipeline

__all__ = ["HONEST", "REFERENCE", "DatasetScores", "datasets_of", "read_scores"]

HONEST, REFERENCE = "honest", "reference"

_NUMBERS = """
SELECT node, evaluated, protocol, metric, class_name, part_name, value FROM metrics
WHERE protocol IN ('honest', 'reference') AND isfinite(value) ORDER BY ALL
"""

Key = tuple[str, str, str, str, str]
"""(node that is scored, protocol, metric, class, part); class and part may be empty."""


@dataclass(frozen=True)
class DatasetScores:
    """The numbers of all evaluations against one ground truth.

    Attributes:
        name: name of the data set for ``--dataset``.
        title: name of the data set for the reader.
        evaluations: the nodes of stage ``eval`` that have numbers, in the pipeline's order.
        values: what a number is about -> the number, in percent.
    """

    name: str
    title: str
    evaluations: tuple[Node, ...] = ()
    values: dict[Key, float] = field(default_factory=dict)

    def value(self, evaluated: str, protocol: str, metric: str, class_name: str = "", part: str = "") -> float | None:
        return self.values.get((evaluated, protocol, metric, class_name, part))

    @property
    def evaluated(self) -> list[str]:
        """The nodes that were scored, in the order of their evaluations."""
        names = [name for node in self.evaluations for name in scored_nodes(node)]
        known = {key[0] for key in self.values}
        return [name for name in dict.fromkeys(names) if name in known]

    def protocols(self, evaluated: str) -> list[str]:
        return [p for p in (HONEST, REFERENCE) if any(key[:2] == (evaluated, p) for key in self.values)]

    @property
    def all_metrics(self) -> list[str]:
        """The metrics over all classes."""
        return sorted({key[2] for key in self.values if not key[3]}, key=metric_place)

    def classes(self, evaluated: str, protocol: str) -> dict[str, float]:
        """Class -> its mIoU."""
        return {k[3]: v for k, v in self.values.items() if k[:3] == (evaluated, protocol, "mIoU") and k[3]}

    def parts(self, evaluated: str, protocol: str, class_name: str) -> dict[str, float]:
        """Part of a class -> its IoU."""
        wanted = (evaluated, protocol, "IoU", class_name)
        return {key[4]: value for key, value in self.values.items() if key[:4] == wanted}

    def evaluation_of(self, evaluated: str, protocol: str) -> Node | None:
        """The evaluation that scores a node under a protocol."""
        fitting = (n for n in self.evaluations if getattr(n.settings, "protocol", "") in (protocol, "both"))
        return next((node for node in fitting if evaluated in scored_nodes(node)), None)


def datasets_of(pipeline: Pipeline) -> dict[str, str]:
    """Name of a data set -> the node that writes its true parts.

    These are the data sets that an evaluation reads; if the pipeline has no evaluation, all that it has.
    """
    truths = [n.inputs["truth"][0] for n in pipeline.nodes.values() if n.stage.name == "eval"]
    drawn = [n.name for n in pipeline.nodes.values() if is_truth_of_parts(n)]
    return {dataset_name(name): name for name in dict.fromkeys(truths or drawn)}


def read_scores(catalog: Catalog, pipeline: Pipeline, made_of: str, only: str = "") -> list[DatasetScores]:
    """The data sets that have numbers, in the pipeline's order.

    Args:
        made_of: name of the data set that the store was made from, whose parts are the node ``truth-parts``; may be
            empty.
        only: name of the only data set to read; empty for all.

    Raises:
        UsageError: the pipeline has no data set of this name.
    """
    known = datasets_of(pipeline)
    wanted = {named_truth(only, known, made_of)} if only else set(known.values())
    rows = catalog.query(_NUMBERS).to_pylist()
    scored = []
    for name, truth in known.items():
        nodes = [n for n in pipeline.nodes.values() if n.stage.name == "eval" and n.inputs["truth"] == (truth,)]
        title = made_of if made_of and name == "truth" else name
        scores = _of(DatasetScores(name, title), nodes, rows)
        if scores.values and truth in wanted:
            scored.append(scores)
    return scored


def _of(scores: DatasetScores, nodes: Iterable[Node], rows: list[dict[str, Any]]) -> DatasetScores:
    values: dict[Key, float] = {}
    kept = []
    for node in nodes:
        node_rows = [row for row in rows if row["node"] == node.name]
        kept += [node] if node_rows else []
        for row in node_rows:
            key = (row["evaluated"], row["protocol"], row["metric"], row["class_name"], row["part_name"])
            values.setdefault(key, row["value"])
    return DatasetScores(scores.name, scores.title, tuple(kept), values)
