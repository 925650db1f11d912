"""The table and the plot of the benchmarks' figures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bench import page
from bench.__main__ import merged
from bench.results import ratios, report, take_turns
from bench.targets import TARGETS


def figure(name: str, value: float, **bounds: Any) -> dict[str, Any]:
    """An entry of ``results.json``."""
    row = {"name": name, "value": value, "unit": "x", "against": "the rest", "at_least": None, "at_most": None}
    return row | {"ok": True, "lowest": value / 2, "highest": value * 2, "wall": None, "note": ""} | bounds


def test_a_bar_ends_where_its_figure_is_and_starts_at_its_bound() -> None:
    """Ten times better goes a quarter of the scale to the right, ten times worse as far to the left."""
    rows = [figure("good", 50, at_least=5), figure("bad", 0.5, at_least=5, ok=False), figure("small", 1, at_most=10)]
    drawn = page.plot(rows)
    bars = [
        (int(left), int(width), colour)
        for left, width, colour in re.findall(r'<rect x="(\d+)" y="\d+" width="(\d+)" height="\d+" fill="(\S+)"', drawn)
    ]
    quarter, middle = page._WIDTH // 4, page._place(1)
    met, missed = page._MET, page._MISSED
    assert bars == [(middle, quarter, met), (middle - quarter, quarter, missed), (middle, quarter, met)]


def test_the_page_changes_between_its_marks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands before and after them stays, and writing twice is as writing once."""
    path = tmp_path / "measurements.md"
    path.write_text(f"before\n\n{page.BEGIN}\n\nold\n\n{page.END}\n\nafter\n")
    monkeypatch.setattr(page, "PAGE", path)
    monkeypatch.setattr(page, "PLOT", tmp_path / "figures.svg")
    rows = [figure("disk", 5.06, at_least=5)]
    page.write_page(rows)
    once = path.read_text()
    page.write_page(rows)
    assert path.read_text() == once and "old" not in once
    assert once.startswith("before\n") and once.endswith("after\n") and "| `disk` | 5.06 x |" in once


def test_figures_of_an_earlier_run_are_kept_until_they_are_measured_again(tmp_path: Path) -> None:
    """In the order of the targets, whatever ran last."""
    path = tmp_path / "results.json"
    path.write_text('[{"name": "labels", "value": 1}, {"name": "disk", "value": 2}]')
    rows = merged([{"name": "labels", "value": 3}], path)
    assert rows == [{"name": "disk", "value": 2}, {"name": "labels", "value": 3}]


def test_a_figure_says_whether_it_meets_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The median counts; the line names the smallest and the largest."""
    monkeypatch.delenv("PD_BENCH_RESULTS", raising=False)
    report("disk", [4.0, 6.0, 5.5])
    report("growth", [1.2])
    good, bad = capsys.readouterr().out.splitlines()
    assert good == "disk: 5.5 x (4.0 to 6.0), at least 5 is asked: ok"
    assert bad.endswith("at most 1.1 is asked: NOT REACHED")


def test_ways_take_turns() -> None:
    """Each runs as often as was asked, one beside the other."""
    called: list[str] = []
    times = take_turns({"slow": lambda: called.append("slow"), "fast": lambda: called.append("fast")}, 2)
    assert called == ["slow", "fast"] * 2 and len(times["fast"].cpu) == len(times["slow"].wall) == 2
    assert ratios([4.0, 9.0], [2.0, 3.0]) == [2.0, 3.0]


def test_every_target_has_one_bound() -> None:
    """Without it, a figure could not fail."""
    assert all((target.at_least is None) != (target.at_most is None) for target in TARGETS.values())
