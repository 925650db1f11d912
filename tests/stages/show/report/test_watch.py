"""What stands out in the monitors, in words."""

from __future__ import annotations

from typing import Any

import pytest

from stages.show.report.watch import what_stands_out

COVERAGE = {"node": "grouping", "source": "detic", "images_in": 100, "dropped": 10, "with_reason": 0}
CRF = {"node": "crf", "class_name": "cat", "pixels_changed": 0.2}
COLLAPSE = {
    "node": "ranking",
    "class_name": "cat",
    "largest_share": 0.3,
    "empty": 0,
    "evenness": 0.9,
    "silhouette": 0.2,
}


def changed(row: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return row | {name: value for name, value in changes.items() if name in row}


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({}, []),
        ({"dropped": 30}, ["grouping has no rows for 30.0 % of the images of detic, none of them with a reason."]),
        (
            {"dropped": 30, "with_reason": 2},
            ["grouping has no rows for 30.0 % of the images of detic, 2 of them with a reason."],
        ),
        ({"pixels_changed": 0.6}, ["crf changes more than half of the pixels of cat."]),
        ({"pixels_changed": 0.001}, ["crf changes less than 1 % of the pixels of cat."]),
        ({"largest_share": 0.9}, ["One cluster has more than 80 % of the segments in cat (ranking)."]),
        ({"empty": 2}, ["Some clusters are empty in cat (ranking)."]),
        ({"evenness": 0.2}, ["Cluster sizes are very uneven in cat (ranking)."]),
        ({"silhouette": -0.1}, ["Clusters are not separated (silhouette below 0) in cat (ranking)."]),
        ({"silhouette": None, "evenness": None}, ["Cluster sizes are very uneven in cat (ranking)."]),
    ],
)
def test_what_is_out_of_the_ordinary_is_reported(changes: dict[str, Any], notes: list[str]) -> None:
    """One sentence for each finding, and none for what is as it should be."""
    rows = (changed(row, changes) for row in (COVERAGE, CRF, COLLAPSE))
    assert list(what_stands_out(*([row] for row in rows))) == notes


def test_many_classes_are_counted() -> None:
    """Up to four classes are named, more are counted, and "all" means every class."""
    names = [f"c{number}" for number in range(9)]
    for bad, words in ((2, "c0, c1"), (5, "5 of 9 classes, such as c0, c1, c2, c3"), (9, "all 9 classes")):
        rows = [CRF | {"class_name": name, "pixels_changed": 0.6 if n < bad else 0.2} for n, name in enumerate(names)]
        assert what_stands_out([], rows, []) == (f"crf changes more than half of the pixels of {words}.",)
    assert what_stands_out([], [CRF | {"class_name": "", "pixels_changed": 0.6}], [])[0].endswith("of other objects.")
