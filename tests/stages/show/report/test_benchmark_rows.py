"""Our numbers compared with the published ones, with made-up numbers for the demo's pipeline."""

from __future__ import annotations

import pytest

from schemas.pipeline import NodeSpec
from stages.plan.pipeline import Pipeline
from stages.show.report.benchmark_rows import ResultRow, result_rows
from stages.show.report.scores import DatasetScores
from tests.stages.show.report.test_ladder import pipeline

__all__ = ["pipeline"]

Values = dict[tuple[str, str, str], float]


def rows_of(pipeline: Pipeline, title: str, values: Values) -> dict[tuple[str, str], ResultRow]:
    numbers = {(*key, "", ""): value for key, value in values.items()}
    evaluations = tuple(node for node in pipeline.nodes.values() if node.stage.name == "eval")
    rows = result_rows(DatasetScores("truth", title, evaluations, numbers), pipeline)
    return {(row.node, row.metric): row for row in rows}


NUMBERS: Values = {
    ("proposals", "reference", "AR@200"): 50.0,
    ("proposals", "honest", "AR@200"): 40.0,
    ("proposals", "reference", "AR@200-unique"): 31.0,
    ("distill", "reference", "C-mIoU"): 47.0,
    ("distill", "reference", "A-mIoU"): 44.0,
    ("distill", "reference", "AR@200"): 30.0,
    ("labels", "reference", "C-mIoU"): 41.0,
}


@pytest.mark.parametrize("title", ["part_imagenet_valtest", "part_imagenet_val", "part_imagenet"])
def test_the_difference_is_to_the_published_protocol(pipeline: Pipeline, title: str) -> None:
    """Our number minus the zoo's, for the metrics that the zoo has; each row has the honest number, too."""
    rows = rows_of(pipeline, title, NUMBERS)
    row = rows["proposals", "AR@200, overlapping"]
    assert (row.reference, row.published, row.honest) == (50.0, 52.2, 40.0)
    assert row.difference == pytest.approx(-2.2)
    assert rows["proposals", "AR@200, one label per pixel"].difference == pytest.approx(0.7)
    assert [rows["distill", m].difference for m in ("C-mIoU", "A-mIoU")] == pytest.approx([1.0, -2.0])
    # Labels are not a model of the zoo, and the recall of masks with clusters is left out.
    assert rows["labels", "C-mIoU"].published is None and len(rows) == 5


def test_other_data_sets_have_no_published_value(pipeline: Pipeline) -> None:
    """Pascal Part has published values, the others have none; without ours there is no difference."""
    assert rows_of(pipeline, "pascal_part_val", NUMBERS)["distill", "C-mIoU"].published == 22.3
    for title in ("demo", "cityscapes_part_val", "paco_lvis_val", "part_imagenet_pp", "part_imagenet_pp_val"):
        assert {row.published for row in rows_of(pipeline, title, NUMBERS).values()} == {None}
    (row,) = rows_of(pipeline, "pascal_part", {("distill", "honest", "C-mIoU"): 20.0}).values()
    assert (row.published, row.reference, row.difference) == (22.3, None, None)


def test_a_baseline_is_not_the_published_model(pipeline: Pipeline) -> None:
    """A proposal model taught by people's parts and a model without proposals have no published value."""
    nodes = dict(pipeline.spec.nodes)
    training = nodes["proposal-train"]
    nodes["proposal-train"] = training.model_copy(update={"inputs": {**training.inputs, "parts": ("truth-parts",)}})
    supervised = Pipeline(pipeline.spec.model_copy(update={"nodes": nodes}))
    rows = rows_of(supervised, "part_imagenet_val", NUMBERS)
    assert {row.published for row in rows.values()} == {None}
    assert rows["proposals", "AR@200, overlapping"].model == "Proposal model, supervised"

    nodes = dict(pipeline.spec.nodes)
    nodes["distill-train"] = NodeSpec(inputs={"images": "ingest", "labels": "crf-labels", "model": "segmenter"})
    one_stage = rows_of(Pipeline(pipeline.spec.model_copy(update={"nodes": nodes})), "part_imagenet_val", NUMBERS)
    row = one_stage["distill", "C-mIoU"]
    assert (row.published, row.model) == (None, "Final model, one stage")
    assert one_stage["proposals", "AR@200, overlapping"].published == 52.2
