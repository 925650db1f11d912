from __future__ import annotations

import pytest

from pdstore import Store
from pdstore.errors import UsageError
from schemas.catalog import catalog_of
from stages.plan.project import Project
from stages.show.report.scores import DatasetScores, datasets_of, read_scores

VALUES = {
    ("labels", "honest", "C-mIoU", "", ""): 40.0,
    ("labels", "honest", "AR@10", "", ""): 30.0,
    ("labels", "honest", "mIoU", "cat", ""): 50.0,
    ("labels", "honest", "IoU", "cat", "head"): 60.0,
    ("labels", "honest", "IoU", "dog", "tail"): 20.0,
    ("labels", "reference", "C-mIoU", "", ""): 45.0,
}
SCORES = DatasetScores("truth", "demo", (), VALUES)


def test_numbers_are_found_by_what_they_are_about() -> None:
    """Those over all classes, of a class, and of a part do not mix."""
    assert SCORES.value("labels", "honest", "C-mIoU") == 40.0
    assert SCORES.value("labels", "honest", "mIoU") is None
    assert SCORES.classes("labels", "honest") == {"cat": 50.0} and SCORES.classes("labels", "reference") == {}
    assert SCORES.parts("labels", "honest", "cat") == {"head": 60.0}
    assert SCORES.all_metrics == ["C-mIoU", "AR@10"]
    assert SCORES.protocols("labels") == ["honest", "reference"] and SCORES.protocols("crf") == []


def test_scores_are_read_from_the_table(finished: Store) -> None:
    """Every finite number of the evaluations is there, under the node that it scores."""
    project, catalog = Project.open(finished), catalog_of(finished)
    (scores,) = read_scores(catalog, project.pipeline, "demo")
    assert (scores.name, scores.title) == ("truth", "demo")
    assert [node.name for node in scores.evaluations] == [n for n in project.nodes if n.startswith("eval-")]
    assert set(scores.evaluated) >= {"detic", "crf-labels", "labels", "distill"}
    sql = "SELECT count(*) AS n FROM metrics WHERE protocol = 'honest' AND isfinite(value)"
    assert len(scores.values) == catalog.query(sql).to_pylist()[0]["n"]
    evaluation = scores.evaluation_of("distill", "honest")
    assert evaluation is not None and evaluation.name == "eval-distill"
    assert scores.evaluation_of("distill", "reference") is None


def test_one_data_set_can_be_chosen(finished: Store) -> None:
    """By its name, or by the name of the data set that the store was made from; another name is refused."""
    project, catalog = Project.open(finished), catalog_of(finished)
    assert datasets_of(project.pipeline) == {"truth": "truth-parts"}
    for name in ("truth", "demo"):
        assert [scores.title for scores in read_scores(catalog, project.pipeline, "demo", name)] == ["demo"]
    with pytest.raises(UsageError, match="'pascal'"):
        read_scores(catalog, project.pipeline, "demo", "pascal")


def test_a_pipeline_without_ground_truth_has_no_data_sets(grouped: Store) -> None:
    """Nothing can be scored, and nothing is read."""
    pipeline = Project.open(grouped).pipeline
    assert datasets_of(pipeline) == {} and read_scores(catalog_of(grouped), pipeline, "") == []
