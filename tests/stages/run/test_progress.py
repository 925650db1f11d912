from __future__ import annotations

from typing import Any

from pdstore import Store
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.progress import Silent, Watch
from stages.run.runner import run_node


class Recorded(Silent):
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.reports: list[tuple[Any, ...]] = []

    def start(self, node: str, units: int, done: int, images_per_unit: float) -> None:
        self.reports.append(("start", node, units, done, images_per_unit))

    def advance(self, images: int) -> None:
        self.reports.append(("advance", images))

    def unit_done(self, unit: int) -> None:
        self.reports.append(("unit", unit))

    def note(self, text: str) -> None:
        self.reports.append(("note", text))

    def finish(self) -> None:
        self.reports.append(("finish",))


def test_a_run_reports_what_it_does(ready: Store) -> None:
    """Start, every image, every unit, end; a run with nothing to do reports nothing."""
    progress = Recorded()
    run_node(Project.open(ready), "crf", RunOptions(), Watch(progress))
    assert progress.reports[0] == ("start", "crf", 4, 0, 3.0) and progress.reports[-1] == ("finish",)
    assert sum(report[1] for report in progress.reports if report[0] == "advance") == 12
    assert sorted(report[1] for report in progress.reports if report[0] == "unit") == [0, 1, 2, 3]
    again = Recorded()
    run_node(Project.open(ready), "crf", RunOptions(), Watch(again))
    assert again.reports == []


def test_units_see_the_observer_as_their_control() -> None:
    """What a unit reports arrives, and its question whether to stop is passed on."""
    progress, answers = Recorded(), iter([False, True])
    control = Watch(progress, lambda: next(answers)).control
    assert [control.should_stop(), control.should_stop()] == [False, True]
    control.advance(3)
    control.note("text")
    assert progress.reports == [("advance", 3), ("note", "text")]


def test_without_an_observer_nothing_is_said() -> None:
    """The default reports to nobody and never stops."""
    control = Watch().control
    control.advance(1)
    control.note("unheard")
    assert not control.should_stop()
