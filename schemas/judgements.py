"""What people said, applied: SQL views over the table ``judgements``, in every catalog.

A judgement of a mask or a cluster is about the layer in which it was seen, and holds for what was computed from that
layer: a rejected object takes its parts with it, and a cluster of ``ranking`` has the same name in ``labels`` and in
``predict``. A judgement of an image holds wherever the image is.
"""

from __future__ import annotations

from collections.abc import Mapping

from pdstore import Column, View
from pdstore.judgements import JUDGEMENTS
from pdstore.table import Table
from schemas.tables import TABLES

__all__ = ["JUDGED", "KEPT", "ROW_NUMBERS"]

ROW_NUMBERS: Mapping[str, str] = {
    "parts": "part_id",
    "proposals": "proposal_id",
    "candidates": "segment_id",
    "labels": "label_id",
    "predictions": "label_id",
}
"""Table -> the column that numbers the rows of an object, or of an image where rows have no object."""

_SUBJECT = (
    Column("subject", "string", "what was judged: image, object, row or cluster"),
    Column("node", "string", "node that wrote what was judged"),
    Column("layer", "string", "fingerprint of the layer in which it was seen"),
    Column("image_id", "int64", "the image; -1 for a cluster"),
    Column("object_id", "int32", "the object, or that of the row; -1 if it has none"),
    Column("row_id", "int32", "number of the row in its table; otherwise -1"),
    Column("category_id", "int32", "class_id of the cluster's class; -1 if no cluster was judged"),
    Column("cluster", "int32", "the cluster; -1 if none was judged"),
)
_LAST = (
    Column("who", "string", "the person who said so last"),
    Column("created", "float64", "when, seconds since 1970, UTC"),
    Column("number", "int64", "number of that judgement, which `undo` takes back"),
)
_KEYS = ", ".join(column.name for column in _SUBJECT)
_SAID_LAST = "arg_max(who, number) AS who, max(created) AS created, max(number) AS number"

LINEAGE = View(
    "lineage",
    "Each layer with every layer that it was computed from, at whatever distance, and with itself.",
    (
        Column("layer", "string", "fingerprint of a layer"),
        Column("ancestor", "string", "fingerprint of the layer itself, or of one that it was computed from"),
    ),
    """
WITH RECURSIVE edges AS (
    SELECT layer, unnest(string_split(identity->>('$.upstream."' || role || '"'), ',')) AS source
    FROM (SELECT layer, identity, unnest(json_keys(identity, '$.upstream')) AS role FROM layers)
), reached(layer, ancestor) AS (
    SELECT layer, layer FROM layers
    UNION SELECT reached.layer, edges.source FROM reached JOIN edges ON edges.layer = reached.ancestor
)
SELECT layer, ancestor FROM reached
""",
)

STANDING = View(
    "standing_judgements",
    "The rows of `judgements` that hold now: those that nobody has taken back.",
    JUDGEMENTS.columns,
    """
SELECT * FROM judgements
WHERE kind <> 'undo' AND number NOT IN (SELECT undoes FROM judgements WHERE kind = 'undo')
""",
)

REJECTED = View(
    "rejected",
    "What is rejected now: one row per image, object, row or cluster.",
    (*_SUBJECT, Column("reason", "string", "why, as the person said; may be empty"), *_LAST),
    f"""
SELECT {_KEYS}, arg_max(value, number) AS reason, {_SAID_LAST}
FROM standing_judgements WHERE kind = 'reject' GROUP BY {_KEYS}
""",
)

TAGS = View(
    "tags",
    "The tags that hold now: one row per tag of an image, object, row or cluster.",
    (*_SUBJECT, Column("tag", "string", "the tag"), *_LAST),
    f"""
SELECT {_KEYS}, value AS tag, {_SAID_LAST} FROM standing_judgements WHERE kind = 'tag' GROUP BY {_KEYS}, value
""",
)

CLUSTER_NAMES = View(
    "cluster_names",
    "The clusters that people named or merged: one row per cluster and node whose rows have it. Join it by layer, "
    "category_id and cluster.",
    (
        Column("node", "string", "node whose rows have the cluster: that of clusters, labels or predictions"),
        Column("layer", "string", "fingerprint of its layer"),
        Column("category_id", "int32", "class_id of the class"),
        Column("class_name", "string", "name of the class"),
        Column("cluster", "int32", "part number within the class"),
        Column("merged_into", "int32", "the cluster that it is now part of; NULL if it was not merged"),
        Column("name", "string", "its name, or that of the cluster that it is part of; empty without a name"),
    ),
    # Two people at once may merge two clusters into each other; then the lower number stands for both.
    """
WITH RECURSIVE said AS (FROM standing_judgements WHERE kind IN ('name', 'merge')),
named AS (
    SELECT layer, category_id, cluster, arg_max(value, number) AS name FROM said WHERE kind = 'name' GROUP BY ALL
), merged AS (
    SELECT layer, category_id, cluster, arg_max(into_cluster, number) AS target
    FROM said WHERE kind = 'merge' GROUP BY ALL
), walk(layer, category_id, cluster, reached) AS (
    SELECT layer, category_id, cluster, cluster FROM said
    UNION SELECT layer, category_id, into_cluster, into_cluster FROM said WHERE kind = 'merge'
    UNION SELECT w.layer, w.category_id, w.cluster, m.target FROM walk w JOIN merged m
        ON m.layer = w.layer AND m.category_id = w.category_id AND m.cluster = w.reached
), ends AS (
    SELECT w.layer, w.category_id, w.cluster,
        coalesce(min(w.reached) FILTER (m.target IS NULL), min(w.reached)) AS whole
    FROM walk w LEFT JOIN merged m
        ON m.layer = w.layer AND m.category_id = w.category_id AND m.cluster = w.reached
    GROUP BY ALL
)
SELECT layers.node, layers.layer, ends.category_id, coalesce(classes.class_name, '') AS class_name, ends.cluster,
    nullif(ends.whole, ends.cluster) AS merged_into, coalesce(named.name, '') AS name
FROM ends
JOIN lineage ON lineage.ancestor = ends.layer
JOIN layers ON layers.layer = lineage.layer AND layers.is_current
    AND layers.table_name IN ('clusters', 'labels', 'predictions')
LEFT JOIN named ON named.layer = ends.layer AND named.category_id = ends.category_id AND named.cluster = ends.whole
LEFT JOIN classes ON classes.class_id = ends.category_id
ORDER BY node, category_id, cluster
""",
)

_NOT_THIS = "NOT EXISTS (SELECT 1 FROM rejected r {join}WHERE r.subject = '{subject}' AND {same})"
_OF_LINEAGE = "JOIN lineage l ON l.ancestor = r.layer AND l.layer = m.layer "
_NAMED = """
LEFT JOIN cluster_names n ON n.layer = m.layer AND n.category_id = m.category_id AND n.cluster = m.cluster"""


def _conditions(table: Table) -> list[str]:
    """Each condition that a row ``m`` of the table meets unless it, or what it is part of, was rejected."""
    image, found = "r.image_id = m.image_id", []
    found.append(_NOT_THIS.format(join="", subject="image", same=image))
    if "object_id" in table.names:
        same = f"{image} AND r.object_id = m.object_id"
        found.append(_NOT_THIS.format(join=_OF_LINEAGE, subject="object", same=same))
    if table.name in ROW_NUMBERS:
        of_object = "r.object_id = m.object_id AND " if "object_id" in table.names else ""
        same = f"r.layer = m.layer AND {image} AND {of_object}r.row_id = m.{ROW_NUMBERS[table.name]}"
        found.append(_NOT_THIS.format(join="", subject="row", same=same))
    if "cluster" in table.names:
        same = "r.category_id = m.category_id AND r.cluster = m.cluster"
        found.append(_NOT_THIS.format(join=_OF_LINEAGE, subject="cluster", same=same))
    return found


def _kept(table: Table) -> View:
    has_clusters = "cluster" in table.names
    values = {"node": "m.node", "layer": "m.layer"} | {c.name: f'm."{c.name}"' for c in table.scalars}
    docs = {"node": "node that wrote the row", "layer": "fingerprint of its layer"}
    docs |= {c.name: c.doc for c in table.scalars}
    types = {"node": "string", "layer": "string"} | {c.name: c.dtype for c in table.scalars}
    merged = ""
    if has_clusters:
        given = values.pop("part_name", "''")
        values["cluster"] = "coalesce(n.merged_into, m.cluster) AS cluster"
        values["part_name"] = f"coalesce(nullif(n.name, ''), {given}) AS part_name"
        docs["cluster"] = "number of the part within the object's class, or of the one that it was merged into"
        docs["part_name"], types["part_name"] = (
            "name that a person gave the cluster, otherwise as in the table",
            "string",
        )
        merged = "; clusters are merged and named as people said"
    where = "\n    AND ".join(_conditions(table))
    listed, joined = ", ".join(values.values()), _NAMED if has_clusters else ""
    sql = f"\nSELECT {listed}\nFROM {table.name} m{joined}\nWHERE {where}\n"
    doc = f"The rows of `{table.name}` that nobody has rejected, nor what they are part of{merged}."
    columns = tuple(Column(name, types[name], docs[name]) for name in values)
    return View(f"{table.name}_kept", doc, columns, sql)


KEPT: Mapping[str, View] = {name: _kept(TABLES[name]) for name in ("images", "objects", *ROW_NUMBERS)}
"""Table -> the view of its rows without those that are rejected."""

JUDGED: Mapping[str, View] = {
    view.name: view for view in (LINEAGE, STANDING, REJECTED, TAGS, CLUSTER_NAMES, *KEPT.values())
}
"""Every view of this module by its name, each after those that it reads."""
