"""Charts as inline SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from stages.show.report.charts import Column, Mark, bar, columns, curve, stack


def rectangles(svg: Markup) -> list[dict[str, str]]:
    return [dict(element.attrib) for element in ElementTree.fromstring(svg).iter("rect")]


def test_columns_are_as_high_as_their_values() -> None:
    """The largest column fills the plot, zero has no height, and even the smallest value is visible."""
    svg = columns([Column(0, "a"), Column(1, "b"), Column(1000, "c"), Column(500, "d")], [(0, "0"), (1, "1")])
    heights = [float(r["height"]) for r in rectangles(svg)]
    assert heights[0] == 0 and 1 < heights[1] < 2 and heights[3] == pytest.approx(heights[2] / 2)
    assert re.findall(r"<title>(.)</title>", svg) == ["a", "b", "c", "d"]


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
    line = ElementTree.fromstring(curve([(1, 4.0), (2, 2.0), (4, 1.0)])).find(".//polyline")
    assert line is not None
    assert line.attrib["points"] == "25.00,0.00 50.00,60.00 100.00,90.00"
    assert ElementTree.fromstring(curve([(5, 0.0)])) is not None


def test_titles_are_escaped() -> None:
    """Any class name is shown as text."""
    for svg in (bar(1, "<&>"), columns([Column(1, "<&>")], [(0.5, "<&>")]), stack([(1.0, 0, "<&>")])):
        assert "<&>" in {element.text for element in ElementTree.fromstring(svg).iter()}
