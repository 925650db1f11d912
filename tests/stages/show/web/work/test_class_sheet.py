from __future__ import annotations

import pytest

from pdstore.errors import InputMissing, UsageError
from pdstore.judgements import add_judgement
from schemas.catalog import catalog_of
from stages.show.judging import cluster_subject, subjects_where
from stages.show.web.snapshots import Snapshot, Snapshots
from stages.show.web.work.class_sheet import cluster_nodes, read_class, read_classes


def test_the_classes_of_a_node(snapshot: Snapshot) -> None:
    """Every class with masks is listed, by name; a text chooses some."""
    assert cluster_nodes(snapshot) == ["labels"]
    rows = read_classes(snapshot, "labels")
    assert [row.class_name for row in rows] == ["cats", "dogs"]
    total = catalog_of(snapshot.project.store).query("SELECT count(*) AS n FROM labels").to_pylist()[0]["n"]
    assert sum(row.masks for row in rows) == total > 0
    assert [row.class_name for row in read_classes(snapshot, "labels", "OG")] == ["dogs"]
    best = "SELECT cluster, max(score) AS score FROM labels WHERE category_id = 0 GROUP BY 1 ORDER BY 1"
    assert [member.score for member in rows[0].members] == [row["score"] for row in snapshot.rows(best)]
    with pytest.raises(UsageError, match="Nodes with clusters: labels"):
        read_classes(snapshot, "crf")


def test_a_class_has_a_column_per_cluster(snapshot: Snapshot) -> None:
    """Columns count the masks of the table, say what the ranking says, and show the best masks first."""
    sheet = read_class(snapshot, "labels", 0, count=3)
    rows = snapshot.rows("SELECT * FROM labels WHERE category_id = 0 ORDER BY cluster, score DESC")
    ranked = {r["cluster"]: r for r in snapshot.rows("SELECT * FROM clusters WHERE category_id = 0")}
    assert [column.cluster for column in sheet.columns] == sorted(ranked)
    for column in sheet.columns:
        own = [row for row in rows if row["cluster"] == column.cluster]
        assert column.masks == len(own) and column.share == pytest.approx(len(own) / len(rows))
        assert column.size == ranked[column.cluster]["size"]
        assert [m.score for m in column.members] == [row["score"] for row in own[:3]]
    least = read_class(snapshot, "labels", 0, count=1, order="least").columns[0].members[0]
    assert least.score == min(row["score"] for row in rows if row["cluster"] == sheet.columns[0].cluster)


def test_what_people_said_is_on_the_sheet(snapshots: Snapshots) -> None:
    """Names, merges, rejections and tags are there after the next look at the store, with their numbers."""
    store, before = snapshots.newest().project.store, read_class(snapshots.newest(), "labels", 0)
    own = next(column for column in before.columns if column.members)
    member, other = own.members[0], 1 - own.cluster
    row = f"m.image_id = {member.image_id} AND m.object_id = {member.object_id} AND m.label_id = {member.row_id}"
    add_judgement(store.files, "ann", "name", [cluster_subject(store, "labels", "cats", other)], value="ear")
    add_judgement(
        store.files, "ann", "merge", [cluster_subject(store, "labels", "cats", own.cluster)], into_cluster=other
    )
    add_judgement(store.files, "ann", "reject", subjects_where(store, "labels", row))
    add_judgement(store.files, "ann", "tag", subjects_where(store, "labels", row), value="odd")
    first, second = read_class(snapshots.refresh(), "labels", 0).columns
    assert (first.cluster, first.name, first.merged_into, first.judgements) == (other, "ear", None, {"name": 0})
    assert (second.cluster, second.name, second.merged_into) == (own.cluster, "ear", other)
    assert second.judgements == {"merge": 1}
    marked = [(m.image_id, m.object_id, m.row_id, m.rejected, m.tags) for m in second.members if m.tags]
    assert marked == [(member.image_id, member.object_id, member.row_id, 2, "odd")]
    assert read_classes(snapshots.newest(), "labels")[0].named == 2


def test_what_is_not_there_is_an_error(snapshot: Snapshot) -> None:
    """A class without masks, an unknown order, a node without clusters."""
    with pytest.raises(InputMissing, match="no mask of this class"):
        read_class(snapshot, "labels", 99)
    with pytest.raises(UsageError, match="expected best, least, mixed"):
        read_class(snapshot, "labels", 0, order="1; DROP VIEW labels")
    with pytest.raises(UsageError, match="have no clusters"):
        read_class(snapshot, "crf", 0)
