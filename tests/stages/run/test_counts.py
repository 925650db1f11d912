from __future__ import annotations

import math

import pytest

from pdstore import Store
from stages.plan.project import Project
from stages.run.counts import Counts
from tests.stages.run.commands import run


def test_counts_are_those_of_the_store(ready: Store) -> None:
    """What any worker has committed is counted, each unit once, and only what is new is returned."""
    counts = Counts(Project.open(ready), "crf")
    assert counts.update() == [] and counts.step == 0 and counts.numbers()["units_ratio"] == 0
    run(ready, "crf", limit=3)
    new = counts.update()
    assert len(new) == 3 and counts.update() == [] and counts.step == 9
    layer = Project.open(ready).layer("crf")
    numbers, rows = counts.numbers(), sum(len(layer.read(unit, ["area"])) for unit in new)
    assert (numbers["units"], numbers["units_ratio"], numbers["images"], numbers["rows"]) == (3, 0.75, 9, rows)
    assert numbers["rows_per_image"] == pytest.approx(rows / 9) and numbers["seconds_per_unit"] > 0
    run(ready, "crf")
    assert len(counts.update()) == 1 and counts.step == 12


def test_rates_are_measured_between_two_looks(ready: Store) -> None:
    """What was there at the first look says nothing about speed."""
    run(ready, "crf", limit=1)
    times = iter([10.0, 12.0])
    counts = Counts(Project.open(ready), "crf", clock=lambda: next(times))
    counts.update()
    assert "images_per_second" not in counts.numbers()
    run(ready, "crf")
    counts.update()
    assert counts.numbers()["images_per_second"] == pytest.approx(9 / 2)
    assert all(math.isfinite(number) for number in counts.numbers().values())


def test_a_unit_that_is_taken_back_counts_again(ready: Store) -> None:
    """The step never falls; the counts are those of what is committed now."""
    counts = Counts(Project.open(ready), "crf")
    run(ready, "crf")
    counts.update()
    layer = Project.open(ready).layer("crf")
    layer.withdraw(0)
    assert counts.update() == [] and (counts.step, counts.numbers()["images"]) == (12, 9)
    run(ready, "crf")
    assert counts.update() == [0] and (counts.step, counts.numbers()["images"]) == (15, 12)


def test_what_was_left_out_is_counted_by_reason(ready: Store) -> None:
    """The reasons are those of the table errors."""
    counts = Counts(Project.open(ready, ["ranking.k=9"]), "ranking")
    run(ready, "crf")
    run(ready, "candidates")
    run(ready, "ranking", "ranking.k=9", new_layer=True)
    counts.update()
    assert counts.numbers() | {"seconds_per_unit": 0, "units_per_second": 0} == {
        "units": 1,
        "units_ratio": 1,
        "rows": 0,
        "seconds_per_unit": 0,
        "units_per_second": 0,
        "rejected/too_few_points": 2,
    }
