"""Our numbers compared with those that the authors published for the models of the 1K training.

Source: the model zoo of the original's fork. The published protocol uses the ground truth, so only numbers of our
reference protocol are compared with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stages.datasets.published import NAMES
from stages.plan.pipeline import Node, Pipeline
from stages.show.report.ladder import TITLES, ancestors
from stages.show.report.scores import HONEST, REFERENCE, DatasetScores

__all__ = ["PUBLISHED", "ResultRow", "result_rows"]

_MIOU = {"pascal_part": 22.3, "part_imagenet": 46.0}
PUBLISHED: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("proposals", "AR@200"): {"pascal_part": 27.2, "part_imagenet": 52.2},
    ("proposals", "AR@200-unique"): {"pascal_part": 14.7, "part_imagenet": 30.3},
    # The zoo does not say which of the two means its mIoU is.
    ("predict", "C-mIoU"): _MIOU,
    ("predict", "A-mIoU"): _MIOU,
}
"""(stage, metric) -> data set -> published value, percent."""

METRICS: Mapping[str, str] = {
    "C-mIoU": "C-mIoU",
    "A-mIoU": "A-mIoU",
    "AR@200": "AR@200, overlapping",
    "AR@200-unique": "AR@200, one label per pixel",
}


@dataclass(frozen=True)
class ResultRow:
    """One metric of a model on a data set, in percent; None if there is no such number."""

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
    """Every node that was scored, with the metrics of the published tables."""
    rows = []
    for name in scores.evaluated:
        node = pipeline[name]
        has_clusters = any(scores.value(name, protocol, "C-mIoU") is not None for protocol in (HONEST, REFERENCE))
        for metric, label in METRICS.items():
            reference, honest = (scores.value(name, protocol, metric) for protocol in (REFERENCE, HONEST))
            is_scored = reference is not None or honest is not None
            # If masks have clusters, their mIoU says more than their recall.
            if is_scored and not (metric.startswith("AR") and has_clusters):
                title = ", ".join(filter(None, (TITLES.get(node.stage.name, ""), _baseline(node, pipeline))))
                published = _published(node, pipeline, scores.title, metric)
                rows.append(ResultRow(name, title, scores.title, label, reference, published, honest))
    return rows


def _published(node: Node, pipeline: Pipeline, dataset: str, metric: str) -> float | None:
    values = PUBLISHED.get((node.stage.name, metric), {})
    # Not by the beginning of the name: part_imagenet_pp is another data set than part_imagenet.
    value = values.get(NAMES[dataset][0]) if dataset in NAMES else None
    return None if _baseline(node, pipeline) else value


def _baseline(node: Node, pipeline: Pipeline) -> str:
    """``supervised`` if people's parts taught the model, ``one stage`` if no proposal model did; otherwise empty."""
    stages = [pipeline[name].stage.name for name in ancestors(pipeline, node.name)]
    if "annotated-parts" in stages:
        return "supervised"
    teacher = pipeline[node.inputs["model"][0]].stage.name if "model" in node.inputs else ""
    is_one_stage = node.stage.name == "predict" and teacher != "weights" and "proposals" not in stages
    return "one stage" if is_one_stage else ""
