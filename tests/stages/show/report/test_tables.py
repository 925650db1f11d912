from __future__ import annotations

from dataclasses import replace
from typing import Any

from markupsafe import Markup

from pdstore import Store
from schemas.catalog import catalog_of
from stages.plan.project import Project
from stages.plan.states import NodeState
from stages.show.report.benchmark_rows import ResultRow
from stages.show.report.scores import read_scores
from stages.show.report.tables import (
    Column,
    cluster_table,
    coverage_table,
    node_table,
    number_table,
    result_table,
    table_of,
)


def test_what_has_no_value_is_left_out() -> None:
    """A column without a value and a row without a number are not there; columns with holes come last."""
    columns = [Column("name"), Column("none", "n"), Column("some", "n"), Column("all", "n"), Column("text")]
    table = table_of("x", columns, [("a", None, "1", "2", None), ("b", None, None, "3", "t"), ("c", *[None] * 4)])
    assert [column.title for column in table.columns] == ["name", "all", "text", "some"]
    assert table.rows == (("a", "2", "–", "1"), ("b", "3", "t", "–"))
    assert table.without == ("none",) and table.has_holes
    assert not table_of("x", columns[:1], [("a",)]).has_holes


def test_results_name_the_data_set_if_there_are_several() -> None:
    """Numbers have two decimals, differences a sign; of a name that contains markup, the characters are shown."""
    rows = [
        ResultRow("<b>", "Final model", "one", "C-mIoU", 20.0, 22.3, 19.125),
        ResultRow("labels", "Labels", "two", "C-mIoU", None, None, 7.0),
    ]
    table = result_table(rows)
    titles = ["model", "metric", "data set", "honest", "reference", "published", "difference"]
    assert [column.title for column in table.columns] == titles
    assert table.rows[0] == (
        Markup("Final model <code>&lt;b&gt;</code>"),
        "C-mIoU",
        "one",
        "19.12",
        "20.00",
        "22.30",
        "−2.30",
    )
    assert table.rows[1][-3:] == ("–", "–", "–")
    assert [column.title for column in result_table(rows[1:]).columns] == ["model", "metric", "honest"]
    assert result_table(rows[1:]).without == ("data set", "reference", "published", "difference")


def test_all_numbers_of_a_data_set(finished: Store) -> None:
    """One row per node and protocol; a metric that a node lacks comes after those that all have."""
    (scores,) = read_scores(catalog_of(finished), Project.open(finished).pipeline, "demo")
    crf, labels = (("crf", "honest"), ("labels", "honest"))
    values = {(*labels, "C-mIoU", "", ""): 1.0, (*labels, "AR@20", "", ""): 2.0, (*crf, "AR@20", "", ""): 3.0}
    table = number_table(replace(scores, values=values))
    assert [column.title for column in table.columns] == ["demo", "protocol", "AR@20", "C-mIoU"]
    assert table.rows == (
        (Markup("<code>crf</code>"), "honest", "3.00", "–"),
        (Markup("<code>labels</code>"), "honest", "2.00", "1.00"),
    )


def coverage(node: str, objects_in: int, **numbers: int) -> dict[str, Any]:
    return {"node": node, "source": "ingest", "images_in": 10, "images_out": 9, "dropped": 1, "with_reason": 0,
            "objects_in": objects_in, "objects_out": 0, "rows_in": 10, "rows_out": 1200} | numbers  # fmt: skip


def test_coverage_without_objects_has_no_column_for_them() -> None:
    """0 images are a number; 0 objects mean that the rows are not about objects."""
    table = coverage_table([coverage("detic", 0), coverage("crf", 4)])
    titles = [column.title for column in table.columns]
    assert titles[2:] == ["images in", "images out", "dropped", "with a reason", "rows in", "rows out", "objects in"]
    assert table.without == ("objects out",)
    assert table.rows[0][4:] == ("1", "0", "10", "1,200", "–")


def test_clusters_without_a_silhouette() -> None:
    """The column is there if any class has one; empty clusters are a column if there are any."""
    row = {"class_name": "", "silhouette": None, "segments": 1500, "largest_share": 0.5, "evenness": 1.0, "empty": 0}
    table = cluster_table("ranking", [row], [Markup("<svg/>")])
    assert [column.title for column in table.columns] == ["ranking", "sizes", "segments", "largest", "even"]
    assert table.rows == (("other objects", Markup("<svg/>"), "1,500", "50.0 %", "1.00"),)
    table = cluster_table("ranking", [row | {"silhouette": -0.1, "empty": 2}], [Markup("")])
    assert table.without == () and table.rows[0][2] == "-0.10"


def test_nodes_that_have_not_begun_have_no_seconds() -> None:
    """Failures and error rows are columns only where there are any."""
    done, waiting = (
        NodeState("crf", "crf", "f" * 32, 2, units, [], {}, [], [], "f" * 32, {}, 0, 1234.5, False, "")
        for units in ([0, 1], [])
    )
    table = node_table([done, waiting])
    assert table.without == ("failed", "error rows")
    assert table.rows[0][3:] == ("2 of 2", Markup("<code>ffffffff</code>"), "1,234.5")
    assert table.rows[1][3:] == ("0 of 2", Markup("<code>ffffffff</code>"), "–")
