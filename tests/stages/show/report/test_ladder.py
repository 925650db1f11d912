"""Stage by stage, with made-up numbers for the demo's pipeline."""

from __future__ import annotations

import pytest

from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset
from stages.show.report.ladder import ladder, recall_metric
from stages.show.report.scores import DatasetScores

EVALUATIONS = ("eval-one-part", "eval-grouping", "eval-crf", "eval-labels", "eval-distill")


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    spec = read_preset("demo")
    nodes = {
        name: node.model_copy(update={"settings": {**node.settings, "file": __file__}})
        if (node.stage or name).startswith("annotated")
        else node
        for name, node in spec.nodes.items()
    }
    return Pipeline(spec.model_copy(update={"nodes": nodes}))


def scores(pipeline: Pipeline, **values: tuple[float | None, float | None]) -> DatasetScores:
    """Scores of a data set from node -> (C-mIoU, AR@20)."""
    numbers = {
        (node.replace("_", "-"), "honest", metric, "", ""): value
        for node, pair in values.items()
        for metric, value in zip(("C-mIoU", "AR@20"), pair, strict=True)
        if value is not None
    }
    return DatasetScores("truth", "demo", tuple(pipeline[name] for name in EVALUATIONS), numbers)


def test_each_stage_is_compared_with_the_one_before(pipeline: Pipeline) -> None:
    """In each number that both have; a stage without clusters has the mIoU of the labels made from it."""
    rungs = ladder(
        scores(
            pipeline,
            detic=(10, 5),
            grouping=(None, 30),
            grouping_labels=(40, 29),
            crf=(None, 25),
            crf_labels=(45, 24),
            proposals=(None, 50),
            labels=(44, 49),
            distill=(44.001, 49.0),
        ),
        pipeline,
    )
    assert [(r.node, r.miou, r.miou_node, r.recall, r.is_better) for r in rungs] == [
        ("detic", 10, "detic", 5, None),
        ("grouping", 40, "grouping-labels", 30, True),
        ("crf", 45, "crf-labels", 25, None),
        ("proposals", None, "", 50, True),
        ("labels", 44, "labels", 49, False),
        ("distill", 44.001, "distill", 49.0, False),
    ]
    assert [r.verdict for r in rungs] == [
        "The starting point.",
        "Better than whole object as one part: mIoU +30.00, AR@20 +25.00.",
        "Better than pixel grouping in mIoU +5.00; not in AR@20 −5.00.",
        "Better than CRF: AR@20 +25.00.",
        "Not better than CRF: mIoU −1.00. Not better than proposal model: AR@20 −1.00.",
        "Not better than labels: mIoU ±0.00, AR@20 ±0.00.",
    ]


def test_a_stage_that_was_not_scored_is_skipped(pipeline: Pipeline) -> None:
    """The next stage is compared with the last stage that was scored."""
    rungs = ladder(scores(pipeline, grouping=(None, 30), grouping_labels=(40, 29), distill=(50, 40)), pipeline)
    assert [r.node for r in rungs] == ["grouping", "distill"]
    assert rungs[1].verdict == "Better than pixel grouping: mIoU +10.00, AR@20 +10.00."
    assert ladder(scores(pipeline), pipeline) == []


def test_recall_is_that_of_twenty_proposals_or_of_the_most() -> None:
    """AR@20 if it was measured; otherwise AR@n with the largest n, for overlapping masks."""
    for metrics, expected in ((("AR@1", "AR@20", "AR@200"), "AR@20"), (("AR@9", "AR@100", "AR@200-unique"), "AR@100")):
        values = {("proposals", "honest", metric, "", ""): 1.0 for metric in metrics}
        assert recall_metric(DatasetScores("truth", "demo", (), values)) == expected
