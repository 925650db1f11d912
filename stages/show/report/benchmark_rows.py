"""Our numbers beside those that the author published for the models of the 1K training.

Source: the model zoo of the original's fork. The published protocol helps itself to the truth, so it is
the reference protocol that compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stages.plan.pipeline import Node, Pipeline
from stages.show.report.ladder import TITLES, ancestors
from stages.show.report.scores import HONEST, REFERENCE, DatasetScores

__all__ = ["PUBLISHED", "ResultRow", "result_rows"]

_MIOU = {"pascal_part": 22.3, "part_imagenet": 46.0}
PUBLISHED: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("proposals", "AR@200"): {"pascal_part": 27.2, "part_imagenet": 52.2},
    ("proposals", "AR@200-unique"): {"pascal_part": 14.7, "part_imagenet": 30.3},
    # The zoo says mIoU, and not which of the two means it is.
    ("predict", "C-mIoU"): _MIOU,
    ("predict", "A-mIoU"): _MIOU,
}
"""(stage, metric) -> data set -> published value, percent."""

METRICS: Mapping[str, str] = {
    "C-mIoU": "C-mIoU",
    "A-mIoU": "A-mIoU",
    "AR@200": "AR@200, overlapping",
    "AR@200-unique": "AR@200, one label a pixel",
}


@dataclass(frozen=True)
class ResultRow:
    """A model on a data set by one metric, percent; None where there is no such number."""

    node: str
    model: str
    dataset: str
    metric: str
    reference: float | None
    published: float | None
    honest: float | None

    @property
    def difference(self) -> float | None:
        if self.reference is None or self.published is None:
            return None
        return self.reference - self.published


def result_rows(scores: DatasetScores, pipeline: Pipeline) -> list[ResultRow]:
    """Every node that was scored, by the metrics of the published tables."""
    rows = []
    for name in scores.evaluated:
        node = pipeline[name]
        has_clusters = any(scores.value(name, protocol, "C-mIoU") is not None for protocol in (HONEST, REFERENCE))
        for metric, words in METRICS.items():
            ours = [scores.value(name, protocol, metric) for protocol in (REFERENCE, HONEST)]
            is_scored = any(value is not None for value in ours)
            # Recall of masks that have clusters says little beside their mIoU.
            if is_scored and not (metric.startswith("AR") and has_clusters):
                title = ", ".join(filter(None, (TITLES.get(node.stage.name, ""), _baseline(node, pipeline))))
                value = _published(node, pipeline, scores.title, metric)
                rows.append(ResultRow(name, title, scores.title, words, ours[0], value, ours[1]))
    return rows


def _published(node: Node, pipeline: Pipeline, dataset: str, metric: str) -> float | None:
    values = PUBLISHED.get((node.stage.name, metric), {})
    own = next((value for name, value in values.items() if dataset.startswith(name)), None)
    return None if _baseline(node, pipeline) else own


def _baseline(node: Node, pipeline: Pipeline) -> str:
    """What makes a model a baseline: it was taught by people's parts, or without a proposal model; else nothing."""
    before = [pipeline[name].stage.name for name in ancestors(pipeline, node.name)]
    if "annotated-parts" in before:
        return "supervised"
    teacher = pipeline[node.inputs["model"][0]].stage.name if "model" in node.inputs else ""
    is_one_stage = node.stage.name == "predict" and teacher != "weights" and "proposals" not in before
    return "one stage" if is_one_stage else ""
