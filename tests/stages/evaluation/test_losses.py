from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from stages.evaluation.losses import ADVICE, Loss, Step, advice, path_to, steps_of, with_losses

NODES = {"objects": ["detic"], "segments": ["grouping", "crf"], "labels": ["labels"], "predicted": ["distill"]}
MIOU = {
    ("detic", "parts"): 88.0,
    ("grouping", "names"): 60.0,
    ("crf", "names"): 70.0,
    ("labels", "names"): 67.0,
    ("labels", ""): 57.0,
    ("distill", "names"): 70.5,
    ("distill", ""): 59.0,
}


def score(step: Step) -> tuple[float, float]:
    return MIOU[NODES[step.role][step.number], step.given], 50.0


@pytest.fixture
def losses() -> list[Loss]:
    return with_losses(NODES, score)


def test_every_step_is_compared_with_the_one_before_it(losses: list[Loss]) -> None:
    """The final model's masks are compared with the labels' masks, not with the names that the labels have."""
    found = [(row.evaluated, row.step, row.given, row.after, row.lost) for row in losses]
    assert found == [
        ("detic", "objects", "parts", "", 12.0),
        ("grouping", "division", "names", "objects", 28.0),
        ("crf", "smoothing", "names", "division", -10.0),
        ("labels", "choice", "names", "smoothing", 3.0),
        ("labels", "naming", "", "choice", 10.0),
        ("distill", "distillation", "names", "choice", -3.5),
        ("distill", "naming", "", "distillation", 11.5),
    ]
    assert [row.position for row in losses] == list(range(7)) and {row.ar for row in losses} == {50.0}


def test_losses_add_up_to_what_is_missing(losses: list[Loss]) -> None:
    """Along the steps that led to a row, the losses are 100 minus its mIoU."""
    for row in losses:
        path = path_to(losses, row)
        assert path[-1] == row and path[0].step == "objects"
        assert sum(step.lost for step in path) == pytest.approx(100 - row.miou)


@pytest.mark.parametrize(
    ("without", "steps"),
    [
        (("labels", "predicted"), ["objects", "division", "smoothing"]),
        (("objects", "segments", "labels"), ["distillation", "naming"]),
        (("segments", "predicted"), ["objects", "choice", "naming"]),
    ],
)
def test_a_step_that_is_not_there_is_left_out(without: tuple[str, ...], steps: list[str]) -> None:
    """The next step is then compared with the one before, or with 100 percent."""
    found = steps_of({role: len(names) for role, names in NODES.items() if role not in without})
    assert [step.name for step in found] == steps
    assert found[0].after is None and all(b.after is a for a, b in pairwise(found))


def test_the_advice_is_about_the_largest_loss_of_the_last_result(losses: list[Loss]) -> None:
    """It names the node to change; labels that another result replaces do not count, and without a loss it is empty."""
    assert advice(losses) == (
        "distill loses most by dividing objects into parts (grouping): 28.0 points; "
        "change k, the features or the metric of the grouping."
    )
    named = [
        replace(row, lost=99.0 if row.step == "naming" and row.evaluated == "labels" else row.lost) for row in losses
    ]
    assert advice(named) == advice(losses)
    assert advice([replace(losses[0], miou=100.0, lost=0.0)]) == advice([]) == ""


def test_every_step_has_an_advice(losses: list[Loss]) -> None:
    """No step can be the largest loss without a word on it."""
    assert {row.step for row in losses} == set(ADVICE)
