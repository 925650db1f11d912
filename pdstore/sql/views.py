"""The SQL of a table's views: a scan per layer and place where its rows are, with masks and vectors where asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import duckdb

from pdstore.blockfile import ERRORS, ROWS
from pdstore.files import Files
from pdstore.index import scans
from pdstore.inventory import LayerCommits
from pdstore.sql.functions import Problems
from pdstore.sql.quoting import quoted, quoted_list
from pdstore.sql.stored import StoredColumn
from pdstore.table import Column, Table

__all__ = ["add_array_views", "no_rows", "table_views"]

_SQL = {
    "int64": "BIGINT",
    "int32": "INTEGER",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "string": "VARCHAR",
}
_ARRAYS = {"ragged": "BLOB", "vector": "FLOAT[]"}
Functions = Mapping[tuple[str, str], str]
"""(fingerprint, column of masks or vectors) -> SQL function of (filename, file_row_number)."""


def table_views(
    files: Files, table: Table, layers: Sequence[LayerCommits], arrays: Functions | None = None
) -> dict[str, str]:
    """Name -> query of the views of a table: of the layers that are shown, and ``<table>_all`` of all layers."""
    is_errors = table.name == "errors"
    writers = [entry for entry in layers if is_errors or entry.layer.table.name == table.name]
    names = {name for _, name in arrays or ()}
    columns = [c for c in table.columns if c.layout == "scalar" or c.name in names]
    views = {}
    for name, members in (
        (table.name, [e for e in writers if e.is_current]),
        (f"{table.name}_all", writers),
    ):
        selects = [s for entry in members for s in _selects(files, entry, table, columns, arrays or {})]
        if selects and not arrays and all(is_errors or _has_all(entry.layer.table, columns) for entry in members):
            views[name] = " UNION ALL ".join(selects)
        else:
            # The declared columns come first, without rows: a layer of an earlier program may lack some of them.
            views[name] = " UNION ALL BY NAME ".join([no_rows(columns, ("node", "layer")), *selects])
    return views


def _has_all(written: Table, columns: Iterable[Column]) -> bool:
    """Whether rows of ``written`` have all these columns, with the same types."""
    types = {column.name: column.dtype for column in written.scalars}
    return all(types.get(column.name) == column.dtype for column in columns)


def no_rows(columns: Iterable[Column], extra: tuple[str, ...] = ()) -> str:
    """A query with these columns, after ``extra`` ones of text, and no rows."""
    found = [f"NULL::VARCHAR AS {name}" for name in extra]
    found += [f'NULL::{_ARRAYS.get(c.layout) or _SQL[c.dtype]} AS "{c.name}"' for c in columns]
    return f"SELECT {', '.join(found)} WHERE false"


def add_array_views(
    connection: duckdb.DuckDBPyConnection,
    files: Files,
    table: Table,
    layers: Sequence[LayerCommits],
    names: Collection[str],
    problems: Problems,
) -> None:
    """Let the views of ``table`` have these columns of masks or vectors, too, on this connection."""
    functions: dict[tuple[str, str], str] = {}
    for entry in layers:
        if entry.layer.table.name != table.name:
            continue
        for column in entry.layer.table.arrays:
            if column.name in names:
                function = f"stored_{column.name}_{entry.layer.node}_{entry.layer.fingerprint}"
                values = StoredColumn(entry, column).values
                problems.add_function(connection, function, values, ["VARCHAR", "BIGINT"], _ARRAYS[column.layout])
                functions[entry.layer.fingerprint, column.name] = f'"{function}"'
    # Columns that no layer has yet are still there, without rows.
    functions |= {("", name): "" for name in names}
    for name, body in table_views(files, table, layers, functions).items():
        connection.execute(f"CREATE TEMP VIEW {name} AS {body}")


def _selects(
    files: Files, entry: LayerCommits, table: Table, columns: Sequence[Column], arrays: Functions
) -> list[str]:
    node, layer = entry.layer.node, entry.layer.fingerprint
    file = ERRORS if table.name == "errors" else ROWS
    found = scans(files, node, layer, entry.commits, file, entry.without, entry.uri)
    if not found:
        return []
    written = {c.name for c in (table if file == ERRORS else entry.layer.table).scalars}
    listed = [f'"{c.name}"' for c in columns if c.name in written]
    stored = [
        f'{arrays[layer, c.name]}(filename, file_row_number) AS "{c.name}"'
        for c in columns
        if (layer, c.name) in arrays
    ]
    options = ", filename = true, file_row_number = true" if stored else ""
    start = f"SELECT {quoted(node)} AS node, {quoted(layer)} AS layer, {', '.join(listed + stored)} FROM read_parquet"
    return [f"{start}({quoted_list(uris)}{options}){condition and f' WHERE {condition}'}" for uris, condition in found]
