"""The views that apply judgements, on hand-made layers whose rows can be counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas import tables
from schemas.judgements import JUDGED, KEPT
from tests.judged_store import Judged
from tests.schemas.test_monitors import SQL_TYPES


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    return Judged(tmp_path / "store")


@pytest.mark.parametrize("view", JUDGED.values(), ids=lambda v: v.name)
def test_columns_are_as_declared(judged: Judged, view: Any) -> None:
    """Each view has the columns that it declares, in order and with their types."""
    found = [row[:2] for row in judged.ask(f"DESCRIBE {view.name}")]
    types = SQL_TYPES | {"bool": "BOOLEAN"}
    assert found == [(column.name, types[column.dtype]) for column in view.columns]


@pytest.mark.parametrize("table", KEPT)
def test_without_judgements_every_row_is_kept(judged: Judged, table: str) -> None:
    """The view of kept rows has the rows and the values of the table."""
    names = [c.name for c in tables.TABLES[table].scalars]
    chosen = ", ".join(names)
    rows = judged.ask(f"SELECT node, layer, {chosen} FROM {table}_kept ORDER BY ALL")
    assert rows == judged.ask(f"SELECT node, layer, {chosen} FROM {table} ORDER BY ALL")
    assert judged.ask("FROM cluster_names") == judged.ask("FROM rejected") == judged.ask("FROM tags") == []


def test_a_rejected_image_takes_everything_with_it(judged: Judged) -> None:
    """None of its objects, parts and labels is kept, of whatever node; undo brings them back."""
    number = judged.say("reject", "ingest", image_id=1, value="blurred")
    for table, column in (
        ("images", "image_id"),
        ("objects", "image_id"),
        ("parts", "image_id"),
        ("labels", "image_id"),
    ):
        assert {row[0] for row in judged.kept(table, column)} == {0, 2}
    assert judged.ask("SELECT count(*) FROM labels_kept WHERE node = 'other'") == [(16,)]
    assert judged.ask("SELECT subject, node, image_id, reason, who, number FROM rejected") == [
        ("image", "ingest", 1, "blurred", "ann", number)
    ]
    judged.say("undo", who="bob", undoes=number)
    assert judged.ask("FROM rejected") == [] and len(judged.kept("labels")) == 24
    assert judged.ask("SELECT count(*) FROM judgements") == [(2,)]


def test_a_rejected_object_takes_what_was_computed_from_it(judged: Judged) -> None:
    """Its parts and labels go; rows with the same numbers that were not computed from the detector stay."""
    judged.say("reject", "detic", image_id=0, object_id=1)
    assert (0, 1) not in judged.kept("objects") and len(judged.kept("objects")) == 5
    assert (0, 1) not in judged.kept("parts") and len(judged.kept("parts")) == 5
    assert len(judged.kept("labels")) == 20 and len(judged.kept("images", "image_id")) == 3
    assert judged.ask("SELECT count(*) FROM labels_kept WHERE node = 'other'") == [(24,)]


def test_a_rejected_row_is_one_row(judged: Judged) -> None:
    """A label of another node with the same numbers stays, and so does what was learnt from it."""
    judged.say("reject", "labels", image_id=0, object_id=0, row_id=2)
    assert [row for row in judged.kept("labels", "image_id, object_id, label_id") if row[:2] == (0, 0)] == [
        (0, 0, 0),
        (0, 0, 1),
        (0, 0, 3),
    ]
    assert judged.ask("SELECT count(*) FROM labels_kept WHERE node = 'other'") == [(24,)]
    assert len(judged.kept("predictions")) == 4


def test_a_rejected_cluster_takes_its_labels_and_predictions(judged: Judged) -> None:
    """Labels of this ranking with the cluster go, also those that a model predicts."""
    judged.say("reject", "ranking", category_id=0, cluster=3)
    assert {row[0] for row in judged.kept("labels", "cluster")} == {0, 1, 2}
    assert judged.kept("predictions", "cluster") == [(0,), (1,), (2,)]
    assert judged.ask("SELECT DISTINCT cluster FROM labels_kept WHERE node = 'other' ORDER BY 1")[-1] == (3,)


def test_names_and_merges_of_clusters(judged: Judged) -> None:
    """A merged cluster has the number and the name of its target, over two steps, wherever the cluster is used."""
    judged.say("name", "ranking", category_id=0, cluster=1, value="head")
    judged.say("merge", "ranking", category_id=0, cluster=3, into=2)
    judged.say("merge", "ranking", category_id=0, cluster=2, into=1)
    judged.say("name", "ranking", category_id=0, cluster=1, value="face")
    names = "SELECT cluster, merged_into, name, class_name FROM cluster_names WHERE node = '{}' ORDER BY cluster"
    expected = [(1, None, "face", "cat"), (2, 1, "face", "cat"), (3, 1, "face", "cat")]
    for node in ("ranking", "labels", "predict"):
        assert judged.ask(names.format(node)) == expected
    assert judged.ask(names.format("other")) == []
    counted = "SELECT cluster, part_name, count(*) FROM {}_kept WHERE node <> 'other' GROUP BY ALL ORDER BY ALL"
    assert judged.ask(counted.format("labels")) == [(0, "", 6), (1, "face", 18)]
    assert judged.ask(counted.format("predictions")) == [(0, "taught", 1), (1, "face", 3)]


def test_the_last_word_counts_and_undo_brings_back_the_one_before(judged: Judged) -> None:
    """A second name replaces the first; without it the first holds again."""
    judged.say("name", "ranking", category_id=1, cluster=0, value="tail")
    second = judged.say("name", "ranking", who="bob", category_id=1, cluster=0, value="leg")
    name = "SELECT name FROM cluster_names WHERE node = 'labels'"
    assert judged.ask(name) == [("leg",)]
    judged.say("undo", undoes=second)
    assert judged.ask(name) == [("tail",)]


def test_clusters_that_were_merged_into_each_other_are_one(judged: Judged) -> None:
    """As two people can do at once: the lowest number of the circle stands for all, and its name."""
    judged.say("name", "ranking", category_id=0, cluster=1, value="head")
    for cluster, into in ((2, 1), (1, 2), (3, 2)):
        judged.say("merge", "ranking", category_id=0, cluster=cluster, into=into)
    found = judged.ask("SELECT cluster, merged_into, name FROM cluster_names WHERE node = 'ranking' ORDER BY 1")
    assert found == [(1, None, "head"), (2, 1, "head"), (3, 1, "head")]


def test_tags(judged: Judged) -> None:
    """A tag that several people gave is one row; a row may have several tags."""
    for who, value in (("ann", "good"), ("bob", "good"), ("bob", "check")):
        judged.say("tag", "labels", who=who, image_id=0, object_id=0, row_id=2, value=value)
    sql = """SELECT l.cluster, t.tag, t.who FROM labels l JOIN tags t
        ON t.layer = l.layer AND t.image_id = l.image_id AND t.object_id = l.object_id AND t.row_id = l.label_id
        ORDER BY tag"""
    assert judged.ask(sql) == [(2, "check", "bob"), (2, "good", "bob")]


def test_a_condition_of_an_export_can_leave_out_what_is_rejected(judged: Judged) -> None:
    """Where only a condition over ``m`` can be given, the keys of the kept rows are asked for."""
    judged.say("reject", "ranking", category_id=0, cluster=3)
    kept = "SELECT layer, image_id, object_id, label_id FROM labels_kept"
    where = f"(m.layer, m.image_id, m.object_id, m.label_id) IN ({kept})"
    assert judged.ask(f"SELECT count(*) FROM labels m WHERE m.node = 'labels' AND ({where})") == [(18,)]
