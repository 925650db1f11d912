"""The part clusters of a class as columns of segments, with what people said of them: data, without a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdstore.errors import InputMissing, UsageError
from schemas.judgements import ROW_NUMBERS
from stages.show.web.snapshots import Snapshot

__all__ = ["ORDERS", "ClassRow", "ClassSheet", "Column", "Member", "cluster_nodes", "read_class", "read_classes"]

ORDERS: Mapping[str, str] = {
    "best": "m.score DESC, m.image_id, m.object_id",
    "least": "m.score, m.image_id, m.object_id",
    "mixed": "hash(m.image_id), m.object_id",
}
"""Word -> the order in which segments of a cluster are shown; the mixed one is the same at every visit."""
MAX_CLASSES = 500
MAX_SEGMENTS = 60
PREVIEWS = 6
"""Clusters of a class that the list of classes shows."""


@dataclass(frozen=True)
class Member:
    """A segment of a cluster.

    Attributes:
        rejected: number of the judgement that rejects it; None if it is not rejected. tags: with commas between them.
    """

    image_id: int
    object_id: int
    row_id: int
    score: float
    rejected: int | None = None
    tags: str = ""


@dataclass(frozen=True)
class Column:
    """A cluster of the class.

    Attributes:
        name: that a person gave it, or that of the cluster it was merged into; may be empty.
        size: segments that were clustered; None if the node of the clusters is not committed. masks: of the node.
        judgements: kind (name, merge, reject) -> number of the judgement of this very cluster that holds now.
    """

    cluster: int
    name: str = ""
    merged_into: int | None = None
    masks: int = 0
    share: float = 0.0
    size: int | None = None
    silhouette: float | None = None
    mean_distance: float | None = None
    judgements: Mapping[str, int] = field(default_factory=dict)
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class ClassSheet:
    """The clusters of a class as one node has them; merged ones stand behind the cluster that they are part of."""

    node: str
    layer: str
    category_id: int
    class_name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class ClassRow:
    """A class in the list of classes.

    Attributes:
        masks: of the node. named: how many of the clusters have a name or were merged.
        members: the best mask of each of its largest clusters, by cluster.
    """

    category_id: int
    class_name: str
    clusters: int
    masks: int
    named: int
    members: tuple[Member, ...] = ()


def cluster_nodes(snapshot: Snapshot) -> list[str]:
    """The nodes whose masks have clusters, in the pipeline's order."""
    tables = ("labels", "predictions")
    return [node.name for node in snapshot.project.nodes.values() if node.stage.output.name in tables]


def read_classes(snapshot: Snapshot, node: str, text: str = "") -> list[ClassRow]:
    """The classes of a node with masks, by name, at most :data:`MAX_CLASSES`.

    Args:
        text: only classes whose name contains it, in any case.

    Raises:
        UsageError: the node has no clusters.
    """
    table = _table(snapshot, node)
    sql = f"""
        SELECT counted.*, coalesce(classes.class_name, '') AS class_name, coalesce(named, 0) AS named
        FROM (SELECT category_id, count(DISTINCT cluster) AS clusters, count(*) AS masks FROM {table}
            WHERE node = ? GROUP BY ALL) AS counted
        LEFT JOIN classes ON classes.class_id = counted.category_id
        LEFT JOIN (SELECT category_id, count(*) AS named FROM cluster_names
            WHERE node = ? AND (name <> '' OR merged_into IS NOT NULL) GROUP BY ALL) USING (category_id)
        WHERE contains(lower(coalesce(classes.class_name, '')), lower(?))
        ORDER BY class_name, category_id"""
    rows = snapshot.rows(sql, [node, node, text], MAX_CLASSES)
    shown = _best_of_clusters(snapshot, node, [row["category_id"] for row in rows])
    return [ClassRow(**row, members=tuple(shown.get(row["category_id"], ()))) for row in rows]


def read_class(snapshot: Snapshot, node: str, category_id: int, count: int = 8, order: str = "best") -> ClassSheet:
    """The clusters of a class, each with ``count`` of its segments.

    Cost: two scans of the class's rows; no mask is read.

    Raises:
        UsageError: the node has no clusters, or there is no such order.
        InputMissing: the node has no mask of the class.
    """
    table = _table(snapshot, node)
    if order not in ORDERS:
        raise UsageError(f"expected {', '.join(ORDERS)}, found {order!r}", "order")
    counted = snapshot.rows(
        f"SELECT cluster, count(*) AS masks FROM {table} WHERE node = ? AND category_id = ? GROUP BY ALL",
        [node, category_id],
    )
    if not counted:
        raise InputMissing(f"{node} has no mask of this class", f"class {category_id}")
    masks = {row["cluster"]: row["masks"] for row in counted}
    members = _members(snapshot, node, category_id, min(max(count, 1), MAX_SEGMENTS), order)
    known, said = _described(snapshot, node, category_id), _judgements(snapshot, node, category_id)
    names = {row["cluster"]: row for row in _names(snapshot, node, category_id)}
    total = sum(masks.values())
    columns = [
        Column(
            cluster=cluster,
            name=names.get(cluster, {}).get("name", ""),
            merged_into=names.get(cluster, {}).get("merged_into"),
            masks=masks.get(cluster, 0),
            share=masks.get(cluster, 0) / total,
            **known.get(cluster, {}),
            judgements=said.get(cluster, {}),
            members=tuple(members.get(cluster, ())),
        )
        for cluster in sorted({*masks, *known})
    ]
    columns.sort(key=lambda c: (c.cluster if c.merged_into is None else c.merged_into, c.merged_into is not None))
    found = snapshot.rows("SELECT class_name FROM classes WHERE class_id = ?", [category_id])
    name = found[0]["class_name"] if found else "outside the vocabulary"
    return ClassSheet(node, snapshot.layer(node).fingerprint, category_id, name, tuple(columns))


def _table(snapshot: Snapshot, node: str) -> str:
    if node not in cluster_nodes(snapshot):
        known = ", ".join(cluster_nodes(snapshot)) or "none"
        raise UsageError("the masks of this node have no clusters", node, f"Nodes with clusters: {known}")
    return snapshot.project[node].stage.output.name


def _members(snapshot: Snapshot, node: str, category_id: int, count: int, order: str) -> dict[int, list[Member]]:
    table, by = _table(snapshot, node), ORDERS[order]
    number = ROW_NUMBERS[table]
    sql = f"""
        WITH shown AS (
            SELECT m.layer, m.image_id, m.object_id, m.{number} AS row_id, m.cluster, m.score,
                row_number() OVER (PARTITION BY m.cluster ORDER BY {by}) AS place
            FROM {table} m WHERE m.node = ? AND m.category_id = ? QUALIFY place <= ?
        ), said AS (SELECT * FROM rejected WHERE subject = 'row'),
        tagged AS (
            SELECT layer, image_id, object_id, row_id, string_agg(tag, ', ' ORDER BY tag) AS tags
            FROM tags WHERE subject = 'row' GROUP BY ALL
        )
        SELECT shown.image_id, shown.object_id, shown.row_id, shown.cluster, shown.score, said.number AS rejected,
            coalesce(tagged.tags, '') AS tags
        FROM shown LEFT JOIN said USING (layer, image_id, object_id, row_id)
        LEFT JOIN tagged USING (layer, image_id, object_id, row_id)
        ORDER BY shown.cluster, place"""
    found: dict[int, list[Member]] = {}
    for row in snapshot.rows(sql, [node, category_id, count]):
        found.setdefault(row.pop("cluster"), []).append(Member(**row))
    return found


def _best_of_clusters(snapshot: Snapshot, node: str, classes: list[int]) -> dict[int, list[Member]]:
    """Class -> the best mask of each of its largest clusters."""
    table = _table(snapshot, node)
    sql = f"""
        SELECT category_id, best.* FROM (
            SELECT category_id, cluster, arg_max({{'image_id': image_id, 'object_id': object_id,
                'row_id': {ROW_NUMBERS[table]}, 'score': score}}, (score, -image_id)) AS best
            FROM {table} WHERE node = ? AND category_id IN (SELECT unnest(?)) GROUP BY category_id, cluster
            QUALIFY row_number() OVER (PARTITION BY category_id ORDER BY count(*) DESC, cluster) <= {PREVIEWS}
        ) ORDER BY category_id, cluster"""
    found: dict[int, list[Member]] = {}
    for row in snapshot.rows(sql, [node, classes]):
        found.setdefault(row.pop("category_id"), []).append(Member(**row))
    return found


def _described(snapshot: Snapshot, node: str, category_id: int) -> dict[int, dict[str, Any]]:
    """Cluster -> what the layer of clusters behind the node says of it."""
    sql = """
        SELECT cluster, size, mean_distance, CASE WHEN isfinite(silhouette) THEN silhouette END AS silhouette
        FROM clusters_all WHERE category_id = ? AND layer IN (SELECT ancestor FROM lineage WHERE layer = ?)"""
    rows = snapshot.rows(sql, [category_id, snapshot.layer(node).fingerprint])
    return {row.pop("cluster"): row for row in rows}


def _names(snapshot: Snapshot, node: str, category_id: int) -> list[dict[str, Any]]:
    sql = "SELECT cluster, merged_into, name FROM cluster_names WHERE node = ? AND category_id = ?"
    return snapshot.rows(sql, [node, category_id])


def _judgements(snapshot: Snapshot, node: str, category_id: int) -> dict[int, dict[str, int]]:
    sql = """
        SELECT cluster, kind, max(number) AS number FROM standing_judgements
        WHERE subject = 'cluster' AND category_id = ? AND layer IN (SELECT ancestor FROM lineage WHERE layer = ?)
        GROUP BY ALL"""
    found: dict[int, dict[str, int]] = {}
    for row in snapshot.rows(sql, [category_id, snapshot.layer(node).fingerprint]):
        found.setdefault(row["cluster"], {})[row["kind"]] = row["number"]
    return found
