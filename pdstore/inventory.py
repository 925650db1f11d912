"""The catalog's tables about the store itself: the committed units and the layers."""

from __future__ import annotations

from typing import Any

from pdstore.commit import Manifest
from pdstore.fingerprint import canonical
from pdstore.store import Layer
from pdstore.table import Column, Table

__all__ = ["COMMITS", "LAYERS", "commit_row", "layer_row"]

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
        Column("seconds", "float64", "time from the start of the attempt to its commit"),
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
        Column("is_current", "bool", "true if the pipeline's settings lead to this layer"),
        Column("units", "int64", "number of committed units"),
        Column("table_name", "string", "table that the layer holds"),
        Column("block_size", "int64", "images per block"),
        Column("identity", "string", "settings, weights and upstream as JSON"),
    ),
)


def commit_row(manifest: Manifest) -> dict[str, Any]:
    rows = sum(count for table, count in manifest.rows.items() if table != "errors")
    return {
        **{name: getattr(manifest, name) for name in COMMITS.names if hasattr(manifest, name)},
        "layer": manifest.fingerprint,
        "rows": rows,
        "errors": manifest.rows.get("errors", 0),
        "bytes": manifest.size,
    }


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
