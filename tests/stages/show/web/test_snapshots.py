from __future__ import annotations

import pytest

from pdstore import Store
from pdstore.errors import UsageError
from stages.show.web.snapshots import KEPT, Snapshot, Snapshots


def _count(snapshot: Snapshot, table: str = "labels") -> int:
    return int(snapshot.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"])


def test_a_snapshot_answers_queries(snapshot: Snapshot) -> None:
    """Rows are records, values fill question marks, and no more rows come than were asked for."""
    sql = "SELECT image_id, width FROM images WHERE image_id >= ? ORDER BY image_id"
    rows = snapshot.rows(sql, [3], limit=4)
    assert [row["image_id"] for row in rows] == [3, 4, 5, 6] and rows[0].keys() == {"image_id", "width"}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT nothing FROM images", "the query is not valid: Binder Error"),
        ("SELECT * FROM read_text('/etc/hostname')", "a query may read no file"),
        ("COPY (SELECT 1) TO 'here.csv'", "a query may read no file"),
        ("SET memory_limit = '1TB'", "the query is not valid"),
        ("INSTALL httpfs", "the query is not valid|a query may read no file"),
    ],
)
def test_what_is_not_allowed_is_one_error(snapshot: Snapshot, sql: str, message: str) -> None:
    """The connection reads no file but the store's, and its settings are locked."""
    with pytest.raises(UsageError, match=message):
        snapshot.rows(sql)


def test_a_query_has_a_time_limit(snapshot: Snapshot) -> None:
    """A query that would take hours is stopped, and the next one is answered."""
    with pytest.raises(UsageError, match=r"took longer than 0\.2 seconds"):
        snapshot.rows(
            "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range % 7 = b.range % 5", seconds=0.2
        )
    assert _count(snapshot) > 0


def test_new_commits_make_a_new_snapshot(copied: Store) -> None:
    """An older snapshot is answered as before; when nothing has changed, the snapshot stays."""
    snapshots = Snapshots(copied.url)
    first = snapshots.newest()
    assert snapshots.refresh() is first
    before = _count(first)
    copied.layer("labels", first.shown["labels"]).withdraw(0)
    second = snapshots.refresh()
    assert second.number == first.number + 1 and snapshots.get(first.number) is first
    assert _count(second) < before == _count(first)
    snapshots.close()


def test_only_the_newest_snapshots_are_kept(copied: Store) -> None:
    """Who names one that is gone gets the newest."""
    snapshots = Snapshots(copied.url)
    first = snapshots.newest()
    for unit in range(KEPT):
        copied.layer("labels", first.shown["labels"]).withdraw(unit)
        newest = snapshots.refresh()
    assert snapshots.get(first.number) is newest and snapshots.get(99) is newest
    snapshots.close()


def test_a_layer_is_found_by_name_and_fingerprint(snapshot: Snapshot) -> None:
    """By default it is the one that the views show; nothing else opens a path."""
    shown = snapshot.layer("crf")
    assert shown.fingerprint == snapshot.shown["crf"] == snapshot.layer("crf", shown.fingerprint).fingerprint
    for fingerprint in ("0" * 16, "../crf", "../../store.json"):
        with pytest.raises(UsageError, match="the node has no layer"):
            snapshot.layer("crf", fingerprint)
    with pytest.raises(UsageError, match="crff"):
        snapshot.layer("crff")
