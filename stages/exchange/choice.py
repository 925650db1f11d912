"""Which masks of a node leave the store, and what their classes are called: the same for every format.

A condition is SQL over the node's rows ``m`` and the images ``i``; it may also name the views of the store. It is asked
block by block, so that no more than a block is in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pdstore import Layer, Rows, Store, layout
from pdstore.errors import InputMissing, UsageError, nearest
from pdstore.inventory import shown_layers
from pdstore.selection import Selection, open_selection
from schemas.catalog import catalog_of
from schemas.tables import TABLES

__all__ = ["NUMBERS", "Category", "Choice", "categories_of", "image_layer", "mask_layer", "named_selection"]

NUMBERS: Mapping[str, str] = {
    "objects": "object_id",
    "parts": "part_id",
    "proposals": "proposal_id",
    "labels": "label_id",
    "predictions": "label_id",
}
"""Table of masks -> the column that numbers the rows of an object; of ``objects`` and ``proposals``, of an image."""
_CLASSES = """(
        SELECT class_id, wnid, class_name || CASE WHEN count(*) OVER (PARTITION BY class_name) > 1
            THEN ' (' || wnid || ')' ELSE '' END AS class_name
        FROM classes)"""
"""The vocabulary in SQL; classes that share a name have their external id added to it."""
_CLUSTERED = "coalesce(c.class_name, 'person')"
_NAMED = "coalesce(c.class_name, m.category_name)"
_CLUSTER = "coalesce(n.merged_into, m.cluster)"
# The number stays in front of the name, so that other programs, which keep names alone, bring the cluster back.
_NAMED_CLUSTER = f"{_CLUSTERED} || ' ' || {_CLUSTER} || coalesce(' ' || nullif(n.name, ''), '')"
_JUDGED = """
        LEFT JOIN (SELECT layer AS of_layer, category_id AS of_class, cluster AS of_cluster, merged_into, name
            FROM {named}) n ON n.of_layer = m.layer AND n.of_class = m.category_id AND n.of_cluster = m.cluster"""
"""What people said of a row's cluster, as the table ``n``. No column of it is called as one of the rows."""
_THINGS = {
    "objects": _NAMED,
    "parts": _NAMED,
    "proposals": "'part'",
    "labels": _CLUSTERED,
    "predictions": _CLUSTERED,
}
_NAMES = {
    "objects": _NAMED,
    "parts": f"{_NAMED} || ' ' || coalesce(nullif(m.part_name, ''), 'part')",
    "proposals": "'proposal'",
    "labels": _NAMED_CLUSTER,
    "predictions": _NAMED_CLUSTER,
}
"""Table -> the name of a row's class in SQL, over the table ``m``, the vocabulary ``c`` and named clusters ``n``."""
OfBlock = Callable[[Rows, Rows], tuple[npt.NDArray[np.int64], list[str]]]
"""(rows of a block, its rows of ``images``) -> numbers of the chosen rows, rising, and the name of each one's category.

Scalar columns suffice. Raises UsageError if the condition fails on a value, such as a conversion.
"""


@dataclass(frozen=True)
class Category:
    """A class of masks: an object class, a part of one, or a cluster of one.

    Attributes:
        name: "cat", "cat head", "cat part" (of a part without a name), "cat 3" (the cluster 3), "cat 3 head" (the
            cluster 3, which a person named), or "proposal". A merged cluster counts as the one that it is part of.
        thing: name of the object class.
        class_id: of the object class; -1 outside the vocabulary.
        wnid: external id of the object class; empty outside the vocabulary.
        cluster: number of the cluster; -1 if the masks have none.
        part: name of the part; empty if it has none.
    """

    name: str
    thing: str
    class_id: int
    wnid: str
    cluster: int
    part: str


def mask_layer(store: Store, node: str, where: str, tables: Sequence[str] = tuple(NUMBERS)) -> Layer:
    """The layer that the views show of a node that writes masks.

    Args:
        where: what asks, for the error.
        tables: the tables that fit.

    Raises:
        UsageError: the pipeline has no such node, or it writes another table.
        InputMissing: the node has not written anything.
    """
    shown = shown_layers(store)
    if node not in shown:
        raise UsageError(f"the pipeline has no node {node!r}", where, nearest(node, shown))
    layer = store.layer(node, shown[node])
    if layer.table.name not in tables:
        names = " or ".join([", ".join(tables[:-1]), tables[-1]] if len(tables) > 1 else tables)
        problem = f"expected a node that writes {names}, found {node}, which writes {layer.table.name}"
        raise UsageError(problem, where, "Name another node")
    return layer


def image_layer(store: Store) -> Layer:
    """The layer of images that the views show. Raises InputMissing if no image was read yet."""
    layers = (store.layer(node, fingerprint) for node, fingerprint in shown_layers(store).items() if store.layers(node))
    found = next((layer for layer in layers if layer.table.name == "images"), None)
    if found is None:
        raise InputMissing("no image was read yet", store.url, "Run: pd run ingest")
    return found


def named_selection(store: Store, name: str) -> Selection:
    """The frozen selection ``name``. Raises UsageError, with the names that there are, if it does not exist."""
    try:
        return open_selection(store, name)
    except FileNotFoundError:
        known = [file.rsplit(".", 1)[0] for file in store.files.names(layout.SELECTIONS) if file.endswith(".arrow")]
        fix = nearest(name, known) if known else "A training freezes one when it begins"
        raise UsageError(f"the store has no selection {name!r}", "--selection", fix) from None


def categories_of(store: Store, layer: Layer) -> list[Category]:
    """All classes of a layer's masks, in the order of the vocabulary; names outside it, such as person, come last.

    Cost: one query over the layer's scalar columns; what is chosen of the layer makes no difference to the result.
    """
    table = layer.table.name
    has_clusters = "cluster" in TABLES[table].names
    number = _CLUSTER if has_clusters else "-1"
    part = "coalesce(m.part_name, '')" if table == "parts" else "coalesce(n.name, '')" if has_clusters else "''"
    class_id, wnid = ("-1", "''") if table == "proposals" else ("m.category_id", "coalesce(c.wnid, '')")
    sql = f"""
        SELECT {_NAMES[table]} AS name, min({_THINGS[table]}) AS thing, min({class_id}) AS class_id,
            min({wnid}) AS wnid, min({number}) AS cluster, min({part}) AS part
        FROM {table} m {_vocabulary(table)} WHERE m.node = '{layer.node}'
        GROUP BY 1 ORDER BY min({class_id}) < 0, min({class_id}), min({number}), name"""
    return [Category(**row) for row in catalog_of(store).query(sql).to_pylist()]


class Choice:
    """The masks of a layer that meet a condition, block by block.

    Args:
        where: SQL condition over the node's rows ``m`` and the images ``i``.
        selection: only the masks of these images.

    Raises:
        UsageError: the condition is not valid, or would do anything but read the store.
    """

    def __init__(self, layer: Layer, images: Layer, where: str = "true", selection: Selection | None = None) -> None:
        self._catalog, self._where = catalog_of(layer.store), where
        self.selected = None if selection is None else np.unique(selection.image_ids)
        table = layer.table.name

        # No format(): the condition may have braces of its own.
        def joined(rows: str, of_images: str, named: str) -> str:
            return f"""FROM {rows} m {_vocabulary(table, named)} JOIN {of_images} i ON i.image_id = m.image_id
            WHERE m.node = '{layer.node}' AND i.node = '{images.node}' AND m.area > 0 AND ({where}
            )"""

        of_views, of_block = joined(table, "images", "cluster_names"), joined("block_m", "block_i", "named_clusters")
        self._names = f"SELECT DISTINCT {_NAMES[table]} AS name {of_views}"
        self._sql = f"SELECT m.row, {_NAMES[table]} AS name {of_block} ORDER BY m.row"
        # Asked of the views, without a result: a condition that is wrong is said before anything is written.
        try:
            self._catalog.query(f"SELECT 1 {of_views} LIMIT 0")
        except UsageError as error:
            fix = f"For the columns: pd sql 'DESCRIBE {table}' for m, pd sql 'DESCRIBE images' for i"
            raise UsageError(error.problem, f"condition {where!r}", fix) from None
        self._views = {"block_m": layer, "block_i": images}

    def names(self) -> set[str]:
        """The names of the categories of the chosen masks, of which there may be fewer than of the layer."""
        selected = {} if self.selected is None else {"selected": pa.table({"image_id": self.selected})}
        among = "AND m.image_id IN (SELECT image_id FROM selected)" if selected else ""
        return set(self._catalog.query(f"{self._names} {among}", selected).column("name").to_pylist())

    @contextlib.contextmanager
    def open(self) -> Iterator[OfBlock]:
        """A function that chooses from the rows of a block, and one connection to the catalog for all its calls."""
        with contextlib.closing(self._catalog.connect()) as connection:
            # Read once: the view walks over all judgements.
            connection.register("named_clusters", connection.sql("FROM cluster_names").to_arrow_table())
            yield partial(self._of_block, connection)

    def _of_block(
        self, connection: duckdb.DuckDBPyConnection, rows: Rows, images: Rows
    ) -> tuple[npt.NDArray[np.int64], list[str]]:
        for (name, layer), found in zip(self._views.items(), (rows, images), strict=True):
            table = found.to_arrow().append_column("row", pa.array(np.arange(len(found))))
            for column, value in (("node", layer.node), ("layer", layer.fingerprint)):
                table = table.append_column(column, pa.repeat(pa.scalar(value), len(found)))
            connection.register(name, table)
        try:
            chosen = connection.sql(self._sql).to_arrow_table()
        except duckdb.Error as error:
            problem = f"the condition fails on a row: {str(error).strip()}"
            raise UsageError(problem, f"condition {self._where!r}", "Correct the condition") from None
        numbers, names = chosen.column("row").to_numpy(), chosen.column("name").to_pylist()
        if self.selected is not None:
            is_selected = np.isin(rows["image_id"][numbers], self.selected)
            numbers, names = numbers[is_selected], [n for n, s in zip(names, is_selected.tolist(), strict=True) if s]
        return numbers, names


def _vocabulary(table: str, named: str = "cluster_names") -> str:
    if table == "proposals":
        return ""
    judged = _JUDGED.format(named=named) if "cluster" in TABLES[table].names else ""
    return f"LEFT JOIN {_CLASSES} c ON c.class_id = m.category_id{judged}"
