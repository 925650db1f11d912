"""What the catalog says about the store itself: the committed units, the layers, and which of them the views show."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pdstore import layout
from pdstore.fingerprint import canonical
from pdstore.index import Commits
from pdstore.records.completion import write_complete
from pdstore.store import Layer, Store
from pdstore.table import Column, Table

__all__ = [
    "COMMITS",
    "LAYERS",
    "LayerCommits",
    "commit_rows",
    "layer_row",
    "mark_complete",
    "shown_layer",
    "shown_layers",
]

COMMITS = Table(
    "commits",
    "One row per committed unit.",
    (
        Column("node", "string", "node that wrote the unit"),
        Column("layer", "string", "fingerprint of the layer"),
        Column("unit", "int64", "block or bucket of classes; 0 if the node has a single unit"),
        Column("attempt", "string", "name of the attempt that was committed"),
        Column("rows", "int64", "number of rows of the layer's table"),
        Column("errors", "int64", "number of rows of errors"),
        Column("bytes", "int64", "total size of its files"),
        Column("content", "string", "digest of the content: equal for equal bytes"),
        Column(
            "seconds", "float64", "time from the start of the attempt to its commit; nodes that share a pass divide it"
        ),
        Column("host", "string", "machine that wrote the unit"),
        Column("created", "float64", "time of the commit, seconds since 1970, UTC"),
    ),
)
LAYERS = Table(
    "layers",
    "One row per layer.",
    (
        Column("node", "string", "node that writes the layer"),
        Column("layer", "string", "fingerprint of the layer"),
        Column("stage", "string", "stage that computes the layer"),
        Column("version", "int64", "version of the stage"),
        Column("is_current", "bool", "true if the views show this layer"),
        Column("units", "int64", "number of committed units"),
        Column("table_name", "string", "table that the layer holds"),
        Column("block_size", "int64", "images per block"),
        Column("identity", "string", "settings, weights and upstream as JSON"),
    ),
)


@dataclass(frozen=True)
class LayerCommits:
    """A layer, its committed units, and whether the views show it.

    Attributes:
        without: gathered rows that are damaged; the files of the blocks are read instead.
        places: path of a file of rows in an object store -> where it lies on this machine.
    """

    layer: Layer
    commits: Commits
    is_current: bool
    without: frozenset[str] = frozenset()
    places: Mapping[str, str] = field(default_factory=dict)

    def uri(self, path: str) -> str:
        """The file of rows in the form that DuckDB reads."""
        return self.places.get(path) or self.layer.store.files.uri(path)

    @property
    def signature(self) -> list[str]:
        """Changes with the set of attempts that are committed, and with the files that hold their rows."""
        files = [source.file for source in self.commits.gathered]
        rows = [row_file.path for file in files if file is not None for row_file in file.row_files]
        names = hashlib.sha256("\n".join(self.commits.column("name")).encode()).hexdigest()
        return [self.layer.node, self.layer.fingerprint, names, *rows]


def commit_rows(layer: Layer, commits: Commits) -> pa.Table:
    """The rows of :data:`COMMITS` of one layer, by rising unit."""
    table = commits.table()
    if table.num_rows:
        table = table.sort_by("unit")
    fixed = {"node": layer.node, "layer": layer.fingerprint}
    columns = [
        pa.repeat(pa.scalar(fixed[c.name], c.arrow), len(table)) if c.name in fixed else table.column(c.name)
        for c in COMMITS.scalars
    ]
    return pa.Table.from_arrays(columns, schema=COMMITS.arrow_schema)


def layer_row(layer: Layer, units: int, is_current: bool) -> dict[str, Any]:
    info = layer.info
    return {
        "node": info.node,
        "layer": layer.fingerprint,
        "stage": info.identity.stage,
        "version": info.identity.version,
        "is_current": is_current,
        "units": units,
        "table_name": info.table.name,
        "block_size": layer.store.info.block_size,
        "identity": canonical(info.identity.to_dict()).decode(),
    }


def shown_layers(store: Store) -> dict[str, str]:
    """Node -> fingerprint of the layer that the views show; empty if no pipeline is recorded.

    After a change of settings this is the layer that was shown before, until the new one is complete or at least holds
    every unit of it. It follows from the record of the pipeline and the commits alone, so all readers agree.
    """
    state = store.state()
    if state is None:
        return {}
    return {node: _shown(store, node, new, state.shown.get(node, new)) for node, new in state.current.items()}


def shown_layer(store: Store, node: str) -> str | None:
    """The fingerprint of the layer of one node that the views show; None if no pipeline with this node is recorded.

    The commits of other nodes are not listed, unlike by :func:`shown_layers`.
    """
    state = store.state()
    if state is None or node not in state.current:
        return None
    new = state.current[node]
    return _shown(store, node, new, state.shown.get(node, new))


def mark_complete(layer: Layer, num_units: int) -> None:
    """If all units of the layer are committed, note it: from now on the views show it whatever is withdrawn later.

    The note also tells a manifest that is lost from a unit that was not computed yet.
    """
    if num_units and len(layer.listed_units()) >= num_units:
        write_complete(layer.store.files, layer.node, layer.fingerprint, num_units)


def _shown(store: Store, node: str, new: str, before: str) -> str:
    if new == before or store.files.exists(layout.complete(node, new)):
        return new
    kept = set(store.layer(node, before).kept_units())
    return new if kept <= set(store.layer(node, new).listed_units()) else before
