"""What a run prints about its progress on stderr."""

from __future__ import annotations

import sys
import time

import pytest

from cli.output import seconds_text
from cli.progress import REPORTS, WORKER, Bar, Lines, Report, Reports, Tally, progress_for
from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset


def test_lines_come_at_intervals_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A line with rate and time left is printed after each interval, and one when the node is finished."""
    lines = Lines({}, every_s=0.0)
    lines.start("grouping", 4, 0, 10)
    lines.advance(10)
    lines.finish()
    captured = capsys.readouterr()
    first, last = captured.err.splitlines()
    assert first.startswith("grouping: 10/40 images, ") and first.endswith(" left") and "/s, " in first
    assert last.startswith("grouping: 10/40 images in ")
    assert captured.out == ""


def test_lines_of_a_worker_begin_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of several workers in one log can be told apart."""
    Lines({}, "2/4").note("something")
    assert capsys.readouterr().err == "[2/4] something\n"


def test_nothing_is_printed_between_the_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    """A log does not get one line per image."""
    lines = Lines({})
    lines.start("grouping", 4, 0, 10)
    for _ in range(30):
        lines.advance(1)
    assert capsys.readouterr().err == ""


def test_a_training_is_counted_in_steps() -> None:
    """The total is the number of steps in the settings."""
    tally = Tally(steps=400, units=1, advanced=100)
    assert tally.text().startswith("100/400 steps, ")


def test_a_resumed_training_starts_where_it_resumes(capsys: pytest.CaptureFixture[str]) -> None:
    """Steps of an earlier run count as done, from the first line on, but not for the rate."""
    lines = Lines({"train": 400}, every_s=0.0)
    lines.start("train", 1, 0, 1)
    lines.unit_started(0)
    lines.resumed(100)
    lines.advance(1)
    lines.unit_done(0)
    first, second, _ = capsys.readouterr().err.splitlines()
    assert first == "train: 100/400 steps" and second.startswith("train: 101/400 steps, ")
    assert Tally(steps=400, begun=100, advanced=100, started=time.monotonic() - 100).rate == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("kind", [Lines, Bar])
def test_a_failed_unit_is_not_counted(kind: type[Lines | Bar], capsys: pytest.CaptureFixture[str]) -> None:
    """Images of a failed attempt are forgotten: neither a retry nor a failure at the end gives N/N images."""
    progress = kind({})
    progress.start("crf", 2, 0, 5)
    progress.unit_started(0)
    progress.advance(5)
    progress.unit_started(1)
    progress.advance(4)
    progress.attempt_failed(1, is_last=False)
    progress.advance(5)
    progress.unit_done(0)
    progress.attempt_failed(1, is_last=True)
    progress.finish()
    assert "crf: 5/10 images in" in (err := capsys.readouterr().err) and ", 1 failed" in err


def test_a_unit_that_could_not_be_written_is_not_counted() -> None:
    """Even if all images were computed before a commit failed, the line does not say that all are done."""
    assert Tally(units=1, size=12, advanced=12, failed=1).last_text().startswith("0/12 images in ")
    assert Tally(steps=50, units=1, advanced=50, failed=1).done == 0


def test_done_never_exceeds_the_total() -> None:
    """A unit that is tried twice, or by another worker, is not counted twice."""
    assert Tally(units=2, size=10, advanced=35).done == 20
    assert Tally(units=2, size=10, units_done=1).done == 10
    assert Tally(units=17, size=1080 / 17, advanced=1088).text().startswith("1080/1080 images")
    assert Tally(units=3, units_done=2, advanced=90).text().startswith("2/3 units")


def test_units_of_other_workers_give_no_rate() -> None:
    """Units that other workers committed count as done, but give no rate and no time left."""
    tally = Tally(units=4, units_done=1, size=10)
    assert tally.text() == "10/40 images"
    assert tally.last_text().startswith("10/40 images in ") and "/s" not in tally.last_text()


def test_a_bar_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal the bar disappears and one line stays; the same bar then serves the next node."""
    bar = Bar({"train": 5})
    for node in ("detic", "train"):
        bar.start(node, 1, 0, 5)
        bar.advance(5)
        bar.unit_done(0)
        bar.note("a word")
        bar.finish()
    err = capsys.readouterr().err
    assert "detic: 5/5 images in" in err and "train: 5/5 steps in" in err and err.count("a word") == 2


def test_durations_read_well() -> None:
    """Durations are written in seconds, minutes or hours."""
    assert [seconds_text(s) for s in (4.21, 185, 60, 7205)] == ["4.2 s", "3:05 min", "1:00 min", "2:00:05 h"]


def test_a_bar_only_where_nobody_else_writes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal gets a bar; a pipe and a launched worker get lines, which begin with the worker's name."""
    pipeline = Pipeline(read_preset("demo"), {})
    monkeypatch.delenv(WORKER, raising=False)
    assert isinstance(progress_for(pipeline), Lines)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert isinstance(progress_for(pipeline), Bar)
    monkeypatch.setenv(WORKER, "2/3")
    lines = progress_for(pipeline)
    lines.start("distill-train", 1, 0, 10)
    lines.advance(5)
    lines.finish()
    steps = pipeline["distill-train"].settings.model_dump()["steps"]
    assert capsys.readouterr().err.startswith(f"[2/3] distill-train: 5/{steps} steps in ")


def test_a_worker_reports_to_the_table_of_its_launcher(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report is one line that the launcher reads back: node, unit, what is done, rate; notes stay lines."""
    monkeypatch.setenv(REPORTS, "1")
    monkeypatch.setenv(WORKER, "2/4")
    assert isinstance(progress_for(Pipeline(read_preset("demo"), {})), Reports)
    reports = Reports({}, "2/4", every_s=0.0)
    reports.start("grouping", 4, 0, 10)
    reports.unit_started(3)
    reports.advance(10)
    reports.note("something")
    report, note, _ = capsys.readouterr().err.split("\n")
    found = Report.parse(report)
    assert found is not None and (found.node, found.unit, found.done) == ("grouping", 3, "10/40 images")
    assert found.rate.endswith("/s") and note == "[2/4] something"
