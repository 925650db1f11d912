"""From a query to the images and masks that it chooses."""

from __future__ import annotations

import re
from collections.abc import Collection

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pdstore import Layer, Store, layout
from pdstore.confined import reading_statement
from pdstore.errors import InputMissing, UsageError
from pdstore.inventory import shown_layers
from pdstore.selection import create_selection
from pdstore.sql.statement import Statement
from schemas.catalog import catalog_of
from schemas.tables import IMAGES
from stages.loading.chosen import IMAGE_ID, LABEL, Chosen, LayerName, frozen

__all__ = ["choose"]

LABELS = (LABEL, "cluster", "category_id")
"""The first of these columns that the query or the table of the masks has is the label, unless another is named."""
WHERE = "the query of the data set"
_ALL = "_all"


def choose(store: Store, sql: str, node: str = "", label: str = "", freeze_as: str = "") -> Chosen:
    """The images whose ``image_id`` a query gives, and the masks whose ids it gives.

    The masks are those of one node: ``node``, else the one in the result's column ``node``, else the only node that
    writes the table which the query reads; if it reads no table of masks, there are none. A mask is chosen if the
    result has a row with its ids: ``image_id``, and each of ``object_id``, ``part_id``, ``label_id``, ``proposal_id``
    that is a column of both. So a result with ``image_id`` alone chooses all masks of its images.

    Args:
        label: integer column of the query or of the masks' table; by default the first of :data:`LABELS`, else 0.
        freeze_as: what is chosen is kept in the store under this name, and taken from there the next time.

    Raises:
        UsageError: the query is not valid, lacks ``image_id``, does not say whose masks it means, gives a mask two
            labels, or is another one than ``freeze_as`` was made from.
        InputMissing: it chooses no image, or one without a committed block of images or masks.
    """
    request = {"sql": sql, "node": node, "label": label}
    if freeze_as:
        if not re.fullmatch(r"[\w.-]+", freeze_as) or freeze_as.startswith("."):
            raise UsageError(f"a selection cannot be called {freeze_as!r}", fix="Use letters, digits, '-', '_' and '.'")
        if (kept := frozen(store, freeze_as, request)) is not None:
            return kept
    chosen = _Query(store, sql).chosen(node, label)
    if not freeze_as:
        return chosen
    create_selection(store, freeze_as, chosen.to_bytes(request))
    # Another process may have been first: what is in the store is what counts.
    kept = frozen(store, freeze_as, request)
    assert kept is not None, "it was created just now"
    return kept


class _Query:
    """A query over a store, which is asked for its columns first and then for those that are needed."""

    def __init__(self, store: Store, sql: str) -> None:
        self.store, self.catalog = store, catalog_of(store)
        # Checked alone, so that an error is about what was written, and not about what it is wrapped in.
        self.statement = _statement(sql)
        self.sql = sql.strip().rstrip(";")
        self.schema = self._run("SELECT * FROM result LIMIT 0").schema
        self._needs_image_id()

    def chosen(self, node: str, label: str) -> Chosen:
        images, masks = self._images(), self._masks(node)
        table = masks and masks.table
        integers = {c.name for c in table.scalars if c.dtype.startswith("int")} if table else set()
        keys = [IMAGE_ID, *sorted(n for n in integers if n.endswith("_id") and n in self.names and n not in _NO_KEYS)]
        column = self._label(label, integers)
        given = column if column in self.names else ""
        columns = [f'"{name}"::BIGINT AS "{name}"' for name in keys]
        columns += [f'"{given}"::BIGINT AS {LABEL}'] if given else []
        is_known = f"{IMAGE_ID} IN (SELECT {IMAGE_ID} FROM images) AS is_known"
        found = self._run(f"SELECT DISTINCT {', '.join(columns)}, {is_known} FROM result ORDER BY ALL").combine_chunks()
        _check_images(found)
        ids = found.drop_columns("is_known")
        chosen = Chosen(ids, _name(images), _name(masks) if masks else None, "" if given else column)
        self._check(chosen, images, masks)
        return chosen

    @property
    def names(self) -> list[str]:
        return list(self.schema.names)

    def _run(self, outer: str) -> pa.Table:
        """The result of ``outer``, which reads the query as ``result``."""
        return self.catalog.query(f"WITH result AS (\n{self.sql}\n) {outer}")

    def _needs_image_id(self) -> None:
        if IMAGE_ID not in self.names:
            problem = f"expected a column {IMAGE_ID} in the query, found {self.names}"
            raise UsageError(problem, WHERE, f"Add {IMAGE_ID} to the query")

    def _images(self) -> Layer:
        layers = [layer for layer in _shown(self.store) if layer.table.name == IMAGES.name]
        if not layers:
            raise InputMissing("no images are ingested yet", self.store.url, "Run: pd run")
        return layers[0]

    def _masks(self, node: str) -> Layer | None:
        """The layer whose masks the query means."""
        layers = {layer.node: layer for layer in _shown(self.store) if _has_masks(layer)}
        if node and node not in layers:
            raise UsageError(f"the node {node!r} has no masks", WHERE, f"Nodes with masks: {', '.join(sorted(layers))}")
        said = self._said("node")
        if len(said) > 1:
            fix = f"Add to the query: WHERE node = '{said[0]}'"
            raise UsageError(f"the rows are of several nodes: {', '.join(said)}", WHERE, fix)
        named = node or next((name for name in said if name in layers), "") or self._node_of_table(layers.values())
        if not named:
            return None
        if said != [named]:
            return layers[named]
        fingerprints = self._said("layer")
        if len(fingerprints) > 1:
            fix = f"Add to the query: WHERE layer = '{fingerprints[0]}'"
            raise UsageError(f"the rows are of several layers of {named}: {', '.join(fingerprints)}", WHERE, fix)
        return self.store.layer(named, fingerprints[0]) if fingerprints else layers[named]

    def _said(self, column: str) -> list[str]:
        """The values of a column of text; none if the query lacks it."""
        if column not in self.names:
            return []
        found = self._run(f"SELECT DISTINCT {column} FROM result WHERE {column} IS NOT NULL ORDER BY 1")
        return [str(value) for value in found.column(0).to_pylist()]

    def _node_of_table(self, layers: Collection[Layer]) -> str:
        """The node that writes the table of masks which the query reads; empty if it reads none."""
        tables = self.statement.tables
        nodes = sorted(layer.node for layer in layers if layer.table.name in tables)
        old = tables & {layer.table.name + _ALL for layer in layers}
        if len(nodes) > 1 or old or self.statement.has_inner_text:
            example = f", such as node='{nodes[0]}'" if nodes else ""
            fix = f"Select the columns node and layer, of one node; or pass node=…{example}"
            written = f": {', '.join(nodes)} have some" if nodes else ""
            raise UsageError(f"the query does not say whose masks it means{written}", WHERE, fix)
        return nodes[0] if nodes else ""

    def _label(self, label: str, integers: set[str]) -> str:
        """The column that is the label; empty if there is none."""
        whole = {field.name for field in self.schema if pa.types.is_integer(field.type)} | integers
        if label and label not in whole:
            fix = f"Name one of {', '.join(sorted(whole))}, or add to the query: … AS {LABEL}"
            raise UsageError(f"there is no integer column {label!r} to take labels from", WHERE, fix)
        if LABEL in self.names and LABEL not in whole and not label:
            raise UsageError(f"the column {LABEL} must be of integers", WHERE, f"Cast it: …::INTEGER AS {LABEL}")
        return label or next((name for name in LABELS if name in whole), "")

    def _check(self, chosen: Chosen, images: Layer, masks: Layer | None) -> None:
        ids = chosen.ids
        keys = np.stack([ids.column(name).to_numpy() for name in chosen.keys])
        same = np.flatnonzero((keys[:, 1:] == keys[:, :-1]).all(0))
        if len(same):
            row = dict(zip(chosen.keys, keys[:, same[0]].tolist(), strict=True))
            raise UsageError(f"the query gives two labels to {row}", WHERE, "Give each mask one label")
        blocks = set(np.unique(chosen.image_ids // self.store.info.block_size).tolist())
        for layer in filter(None, (images, masks)):
            missing = sorted(blocks - set(layer.units()))
            if missing:
                problem = f"{layer.node} has not committed {len(missing)} of the blocks of its images"
                raise InputMissing(problem, f"block {missing[0]}", f"Run: pd stage run {layer.node}")


_NO_KEYS = {IMAGE_ID, "category_id", "class_id"}
"""Ids of classes do not tell a mask from another one."""


def _check_images(found: pa.Table) -> None:
    if not len(found):
        raise InputMissing("the query chooses no image", WHERE, "Try it with: pd sql QUERY")
    if any(column.null_count for column in found.columns):
        raise UsageError("the query gives rows without an id or a label", WHERE, "Add to it: WHERE … IS NOT NULL")
    lost = found.filter(pc.invert(found.column("is_known"))).column(IMAGE_ID).unique()
    if len(lost):
        problem = f"{len(lost)} of its images are not in the table images, such as image {lost[0].as_py()}"
        raise InputMissing(problem, WHERE, "Join the query with images")


def _statement(sql: str) -> Statement:
    try:
        return reading_statement(sql)
    except duckdb.Error as error:
        raise UsageError(f"it is not valid: {error!s}", WHERE, "Try it with: pd sql QUERY") from None


def _name(layer: Layer) -> LayerName:
    return layer.node, layer.fingerprint


def _has_masks(layer: Layer) -> bool:
    return {IMAGE_ID, "rle", "height", "width"} <= set(layer.table.names)


def _shown(store: Store) -> list[Layer]:
    """The layers that the views show, of the nodes that have run."""
    layers = [store.layer(*name) for name in shown_layers(store).items()]
    return [layer for layer in layers if store.files.exists(layout.layer_info(layer.node, layer.fingerprint))]
