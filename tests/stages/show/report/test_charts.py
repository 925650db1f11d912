"""Charts as inline SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from stages.show.report.charts import Change, Column, Mark, bar, changes, columns, curve, marks_up_to, short, stack

AXES = ("score", "masks")


def rectangles(svg: Markup) -> list[dict[str, str]]:
    return [dict(element.attrib) for element in ElementTree.fromstring(svg).iter("rect")]


def test_columns_are_as_high_as_their_values() -> None:
    """The largest column fills the plot, zero has no height, and even the smallest value is visible."""
    svg = columns([Column(0, "a"), Column(1, "b"), Column(1000, "c"), Column(500, "d")], [(0, "0"), (1, "1")], AXES)
    heights = [float(r["height"]) for r in rectangles(svg)]
    assert heights[0] == 0 and 1 < heights[1] < 2 and heights[3] == pytest.approx(heights[2] / 2)
    assert re.findall(r"<title>(.)</title>", svg) == ["a", "b", "c", "d"]


def test_a_chart_has_axes() -> None:
    """Both axes are named, y has round numbers up to its largest value, and the whole is told to a screen reader."""
    root = ElementTree.fromstring(columns([Column(250, "low: 250"), Column(1000, "high: 1,000")], [(0.5, "0.5")], AXES))
    assert [e.text for e in root.iter("span")] == ["masks", "score"]
    assert [e.text for e in root.iter("text")] == ["0", "500", "1,000", "0.5"]
    numbers = {e.text: float(e.attrib["y"]) for e in root.iter("text")}
    assert numbers["0"] - numbers["500"] == pytest.approx(numbers["500"] - numbers["1,000"])
    (label,) = [e.attrib["aria-label"] for e in root.iter("svg") if "aria-label" in e.attrib]
    assert label == "masks by score: low: 250; high: 1,000"


@pytest.mark.parametrize("highest", [1, 3, 7, 9.99, 10, 0.03, 42, 999, 123_456, 2.5e9, 1e-9])
def test_marks_of_an_axis_are_round_and_few(highest: float) -> None:
    """From 0, two to six marks at equal steps; one more step would leave the chart."""
    marks = marks_up_to(highest)
    step = marks[1]
    assert marks[0] == 0 and 2 <= len(marks) <= 6
    assert marks == pytest.approx([number * step for number in range(len(marks))])
    assert marks[-1] <= highest * (1 + 1e-9) and marks[-1] + step > highest
    assert f"{step:e}"[0] in "125" and float(f"{step:.0e}") == pytest.approx(step)


def test_numbers_of_an_axis_are_short() -> None:
    """Thousands are separated, millions are abbreviated, and fractions have no more digits than they need."""
    assert [short(n) for n in (0, 0.05, 1500, 2_500_000)] == ["0", "0.05", "1,500", "2.5 M"]


def test_a_bar_ends_at_its_value() -> None:
    """A value beyond the scale fills the bar, zero has no width, and marks are at their values."""
    for value, width in ((25.0, "25.000%"), (130.0, "100.000%"), (0.0, "0.000%")):
        assert rectangles(bar(value, "x"))[1]["width"] == width
    marked = ElementTree.fromstring(bar(50, "x", marks=[Mark(10, "before", 2)]))
    assert [e.attrib["x1"] for e in marked.iter("line")] == ["10.000%", "10.000%"]


def test_shares_stand_side_by_side() -> None:
    """Each share begins where the one before it ends."""
    pieces = rectangles(stack([(0.25, 0, "a"), (0.5, 1, "b"), (0.25, 2, "c")]))
    assert [(r["x"], r["width"]) for r in pieces] == [
        ("0.000%", "25.000%"),
        ("25.000%", "50.000%"),
        ("75.000%", "25.000%"),
    ]
    assert len({r["fill"] for r in pieces}) == 3


def test_a_curve_of_one_point_or_many_is_well_formed() -> None:
    """Steps run along x, and the largest value is at the top."""
    line = ElementTree.fromstring(curve([(1, 4.0), (2, 2.0), (4, 1.0)], AXES)).find(".//polyline")
    assert line is not None
    assert line.attrib["points"] == "25.00,0.00 50.00,60.00 100.00,90.00"
    assert ElementTree.fromstring(curve([(5, 0.0)], AXES)) is not None


def test_titles_are_escaped() -> None:
    """Any class name is shown as text."""
    for svg in (bar(1, "<&>"), columns([Column(1, "<&>")], [(0.5, "<&>")], ("<&>", "<&>")), stack([(1.0, 0, "<&>")])):
        assert "<&>" in {element.text for element in ElementTree.fromstring(svg).iter()}


def test_a_change_lies_between_two_values() -> None:
    """A bar of the smaller value, and behind it the loss or the gain up to the larger one; the scale is to 100."""
    svg = changes([Change(60, 88, "division: 60"), Change(70, 60, "smoothing: 70")], "mIoU, percent")
    assert [(r["class"], r.get("x"), r["width"]) for r in rectangles(svg)] == [
        ("fill", None, "60.000%"),
        ("loss", "60.000%", "28.000%"),
        ("fill", None, "60.000%"),
        ("gain", "60.000%", "10.000%"),
    ]
    root = ElementTree.fromstring(svg)
    assert [e.text for e in root.iter("text")] == ["0", "20", "40", "60", "80", "100", "division: 60", "smoothing: 70"]
    assert [e.text for e in root.iter("span")] == ["mIoU, percent"]
