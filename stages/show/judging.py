"""From words and SQL to what a judgement is about: images, objects, rows and clusters of a store's shown layers."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping

from pdstore import Catalog, Store
from pdstore.errors import UsageError, nearest
from pdstore.inventory import shown_layers
from pdstore.judgements import Subject, read_judgements
from schemas.catalog import catalog_of
from schemas.judgements import KEPT, ROW_NUMBERS

__all__ = ["class_id_of", "cluster_subject", "last_judgement", "person", "subjects_where"]

WHERE = "pd judge"


def subjects_where(store: Store, node: str, where: str) -> tuple[Subject, ...]:
    """What a condition chooses of a node's table: images of ``ingest``, objects of a detector, otherwise rows.

    Args:
        where: SQL over the node's table ``m`` and the table of images ``i``.

    Raises:
        UsageError: the node writes no such table, the condition is wrong or would not only read, or nothing meets it.
    """
    layer, table = _shown(store, node, KEPT)
    keys = ["image_id"]
    if table != "images":
        columns = {column.name for column in KEPT[table].columns}
        keys += [name for name in ("object_id", ROW_NUMBERS.get(table)) if name in columns]
    listed = ", ".join(f"m.{key}" for key in keys)
    # The condition ends with its line, so that a comment in it does not reach the bracket.
    sql = f"""
        SELECT DISTINCT {listed} FROM {table} m JOIN images i ON i.image_id = m.image_id
        WHERE m.layer = '{layer}' AND ({where}
        ) ORDER BY ALL"""
    found = catalog_of(store).query(sql)
    if not found.num_rows:
        raise UsageError(
            f"no row of {node} meets the condition", where, f'See them with: pd sql "SELECT * FROM {table}"'
        )
    names = ["row_id" if key == ROW_NUMBERS.get(table) else key for key in keys]
    return tuple(Subject(node, layer, **dict(zip(names, row.values(), strict=True))) for row in found.to_pylist())


def cluster_subject(store: Store, node: str, class_text: str, cluster: int) -> Subject:
    """A cluster, from a node whose rows have it: that of clusters, labels or predictions.

    Args:
        class_text: name, external id or class_id of the class; -1 for what is outside the vocabulary.

    Raises:
        UsageError: there is no such node, class or cluster, or the node's clusters come from several layers.
    """
    layer, _ = _shown(store, node, ("clusters", "labels", "predictions"))
    catalog = catalog_of(store)
    sql = f"""
        SELECT layers.node, layers.layer FROM lineage JOIN layers ON layers.layer = lineage.ancestor
        WHERE lineage.layer = '{layer}' AND layers.table_name = 'clusters'"""
    makers = catalog.query(sql).to_pylist()
    if len(makers) != 1:
        problem = f"expected the clusters of one layer behind {node}, found {len(makers)}"
        raise UsageError(problem, WHERE, "Name the node of the clusters, such as ranking")
    maker, category_id = makers[0], class_id_of(catalog, class_text)
    known = f"SELECT cluster FROM clusters_all WHERE layer = '{maker['layer']}' AND category_id = {category_id}"
    clusters = [row["cluster"] for row in catalog.query(known).to_pylist()]
    if cluster not in clusters:
        listed = ", ".join(map(str, sorted(clusters))) or "none"
        problem = f"the class {class_text} has no cluster {cluster} in {maker['node']}"
        raise UsageError(problem, WHERE, f"Its clusters: {listed}")
    return Subject(maker["node"], maker["layer"], category_id=category_id, cluster=cluster)


def class_id_of(catalog: Catalog, text: str) -> int:
    """The id of a class, from its id, its external id or its name.

    Raises:
        UsageError: no class matches, or several do.
    """
    rows = catalog.query("SELECT class_id, wnid, class_name FROM classes").to_pylist()
    if text == "-1":
        return -1
    exact = {row["class_id"] for row in rows if text in (str(row["class_id"]), row["wnid"])}
    named = {row["class_id"] for row in rows if row["class_name"] == text}
    found = exact or named
    if len(found) == 1:
        return int(found.pop())
    if found:
        ids = ", ".join(str(row["wnid"]) for row in rows if row["class_id"] in found)
        raise UsageError(f"{len(found)} classes are called {text!r}", WHERE, f"Name one by its external id: {ids}")
    raise UsageError(f"there is no class {text!r}", WHERE, nearest(text, [row["class_name"] for row in rows]))


def last_judgement(store: Store, who: str) -> int:
    """Number of the last judgement of a person that still holds. Raises UsageError if there is none."""
    said = read_judgements(store.files)
    undone = {one.undoes for one in said}
    own = [one.number for one in said if one.who == who and one.kind != "undo" and one.number not in undone]
    if not own:
        raise UsageError(f"{who} has made no judgement that still holds", WHERE, "Name one by its number")
    return max(own)


def person() -> str:
    """Who judges: PD_WHO, otherwise the name under which the current user is logged in."""
    if os.environ.get("PD_WHO"):
        return os.environ["PD_WHO"]
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for the number of the user, as in some containers
        return "unknown"


def _shown(store: Store, node: str, tables: Mapping[str, object] | tuple[str, ...]) -> tuple[str, str]:
    """(fingerprint, table) of the layer that the views show of a node. Raises UsageError if it is of another table."""
    shown = shown_layers(store)
    if node not in shown or not store.layers(node):
        raise UsageError(f"no node {node!r} has been run", WHERE, nearest(node, shown))
    layer = store.layer(node, shown[node])
    if layer.table.name not in tables:
        problem = f"expected a node that writes {', '.join(tables)}, found {node}, which writes {layer.table.name}"
        raise UsageError(problem, WHERE, "Name another node")
    return layer.fingerprint, layer.table.name
