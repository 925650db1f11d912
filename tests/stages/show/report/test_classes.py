"""The last model class by class, with made-up numbers on the finished store."""

from __future__ import annotations

import pytest

from pdstore import Store
from schemas.catalog import catalog_of
from stages.plan.project import Project
from stages.show.report.classes import MAX_BARS, read_classes
from stages.show.report.ladder import Rung, ladder
from stages.show.report.scores import DatasetScores, Key, read_scores


def rung(node: str, title: str) -> Rung:
    return Rung(node, title, 1.0, node, None)


def numbers(node: str, mious: dict[str, float], protocol: str = "honest") -> dict[Key, float]:
    return {(node, protocol, "mIoU", name, ""): value for name, value in mious.items()}


def scores(*values: dict[Key, float]) -> DatasetScores:
    merged = {key: value for part in values for key, value in part.items()}
    return DatasetScores("truth", "demo", (), merged)


def test_the_last_stage_is_compared_with_those_before(finished: Store) -> None:
    """Classes come best first, each with its parts and with the mIoU of earlier stages that have the class."""
    given = scores(
        numbers("crf-labels", {"cat": 10.0, "dog": 40.0}),
        numbers("labels", {"cat": 20.0}),
        numbers("distill", {"cat": 30.0, "dog": 50.0}),
        {("distill", "honest", "IoU", "cat", "head"): 25.0},
    )
    rungs = [rung("crf-labels", "CRF"), rung("proposals", "Proposal model"), rung("labels", "Labels")]
    classes = read_classes(finished, given, [*rungs, rung("distill", "Final model")])
    assert classes is not None
    assert (classes.node, classes.title, classes.protocol, classes.total) == ("distill", "Final model", "honest", 2)
    assert [(row.name, row.value) for row in classes.rows] == [("dog", 50.0), ("cat", 30.0)]
    assert [row.before for row in classes.rows] == [{"CRF": 40.0}, {"CRF": 10.0, "Labels": 20.0}]
    assert [row.parts for row in classes.rows] == [{}, {"head": 25.0}]
    assert classes.confusions == ()


def test_of_many_classes_the_best_and_the_worst_are_shown(finished: Store) -> None:
    """Half of the bars are for each end, and the total counts all classes."""
    given = scores(numbers("distill", {f"c{n:03d}": float(n) for n in range(100)}))
    classes = read_classes(finished, given, [rung("distill", "Final model")])
    assert classes is not None and classes.total == 100 and len(classes.rows) == MAX_BARS
    values = [row.value for row in classes.rows]
    assert values == [*range(99, 79, -1), *range(19, -1, -1)]


def test_without_honest_numbers_the_reference_protocol_is_used(finished: Store) -> None:
    """Then the title is the name of the node."""
    pipeline = Project.open(finished).pipeline
    given = DatasetScores(
        "truth", "demo", (pipeline["eval-distill"],), numbers("distill", {"cat": 30.0}, protocol="reference")
    )
    classes = read_classes(finished, given, [])
    assert classes is not None and (classes.title, classes.protocol) == ("distill", "reference")


@pytest.mark.parametrize("rungs", [[], [rung("proposals", "Proposal model")]])
def test_without_numbers_by_class_there_is_nothing(finished: Store, rungs: list[Rung]) -> None:
    """Proposals have recall alone."""
    assert read_classes(finished, scores({("proposals", "honest", "AR@10", "", ""): 5.0}), rungs) is None


def test_confusions_are_those_of_the_lowest_classes(finished: Store) -> None:
    """On the finished store, every class has one; the lowest mIoU comes first."""
    pipeline = Project.open(finished).pipeline
    (given,) = read_scores(catalog_of(finished), pipeline, "demo")
    classes = read_classes(finished, given, ladder(given, pipeline))
    assert classes is not None and classes.node == "distill"
    mious = [given.classes("distill", "honest")[matrix.class_name] for matrix in classes.confusions]
    assert mious == sorted(mious) and len(mious) == classes.total
