"""The catalog: SQL views over the committed Parquet files of a store.

The catalog is derived from the manifests alone. For a local store it is kept in ``catalog.duckdb``; when the set of
commits has changed it is rebuilt in a temporary file, which is then renamed. For a remote store, and for a reader who
may not write to the store, it lives in memory.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from pdstore import layout
from pdstore.blockfile import ERRORS, ROWS
from pdstore.commit import Manifest
from pdstore.confined import confine, quoted, quoted_list, reading_statement
from pdstore.errors import CorruptData, UsageError, nearest
from pdstore.fingerprint import digest
from pdstore.inventory import COMMITS, LAYERS, commit_row, layer_row
from pdstore.store import Layer, Store
from pdstore.table import Table, View

__all__ = ["Catalog"]

_SQL = {
    "int64": "BIGINT",
    "int32": "INTEGER",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "string": "VARCHAR",
}


@dataclass(frozen=True)
class _LayerCommits:
    """A layer and its committed units."""

    layer: Layer
    manifests: Mapping[int, Manifest]
    is_current: bool


class Catalog:
    """SQL over a store.

    Args:
        tables: every table that gets a view; the view exists even while nothing is committed.
        current: node -> fingerprint of the layer that its views show.
        views: further views, defined on top of the views of the tables.
    """

    def __init__(
        self, store: Store, tables: Iterable[Table], current: Mapping[str, str], views: Iterable[View] = ()
    ) -> None:
        self._store, self._current, self._further = store, dict(current), tuple(views)
        self._tables = {table.name: table for table in tables}

    def query(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """The result of one statement that reads. Repeated column names become ``name_1``, ``name_2``, …

        Args:
            tables: name -> further tables that the statement may read.

        Raises:
            UsageError: the SQL is not valid, or would do anything but read the store.
            CorruptData: a committed file cannot be read.
        """
        with contextlib.closing(self.connect()) as connection:
            try:
                statement = reading_statement(sql)
                for name, rows in (tables or {}).items():
                    connection.register(name, rows)
                result = connection.sql(statement).to_arrow_table()
                return result.rename_columns(_unique(result.column_names))
            except duckdb.PermissionException as error:
                fix = "To join a file of your own, CSV or Parquet: pd sql QUERY --with NAME=FILE"
                problem = f"a query may read no file but the store's own: {str(error).strip()}"
                raise UsageError(problem, "pd sql", fix) from None
            except duckdb.Error as error:
                message = str(error).strip().split("\nDid you mean")[0]
                if f"{self._store.files.uri(layout.LAYERS)}/" in message:
                    raise _unreadable(self._store, message) from None
                raise UsageError(f"the query is not valid: {message}", "pd sql", self._hint(message)) from None

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A connection that can read every view, and no file but the store's own. Close it after use.

        Raises:
            CorruptData: a committed file cannot be read.
        """
        try:
            connection = self._built(self._signature())
        except duckdb.Error as error:
            raise _unreadable(self._store, str(error).strip()) from error
        uri = self._store.files.uri
        confine(connection, [uri(layout.CLASSES)], [f"{uri(layout.LAYERS)}/"])
        return connection

    def _built(self, signature: str) -> duckdb.DuckDBPyConnection:
        if self._store.files.is_local:
            # Without permission or space the cache is skipped. An error in the store itself is raised again below.
            with contextlib.suppress(OSError, duckdb.Error):
                return self._from_file(signature)
        return self._in_memory(signature)

    def _from_file(self, signature: str) -> duckdb.DuckDBPyConnection:
        path = self._store.files.full(layout.CATALOG)
        if not _has_signature(path, signature):
            self._rebuild(path, signature)
        return _open(path)

    def _in_memory(self, signature: str) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(":memory:")
        try:
            if not self._store.files.is_local:
                connection.register_filesystem(self._store.files.fs)
            self._build(connection, signature)
        except BaseException:
            connection.close()
            raise
        return connection

    def _rebuild(self, path: str, signature: str) -> None:
        temporary = self._store.files.full(f"{layout.TEMPORARY}{secrets.token_hex(6)}")
        try:
            with contextlib.closing(duckdb.connect(temporary)) as connection:
                self._build(connection, signature)
                # Closing writes the file too, but reports no error when the disk is full.
                connection.execute("CHECKPOINT")
            os.replace(temporary, path)
        finally:
            for leftover in (temporary, f"{temporary}.wal"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(leftover)

    def _build(self, connection: duckdb.DuckDBPyConnection, signature: str) -> None:
        layers = self._committed_layers()
        for table in self._tables.values():
            self._views(connection, table, layers)
        self._load(connection, COMMITS, [commit_row(m) for entry in layers for m in entry.manifests.values()])
        self._load(connection, LAYERS, [layer_row(e.layer, len(e.manifests), e.is_current) for e in layers])
        for view in self._further:
            connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
        connection.execute("CREATE SCHEMA internal")
        connection.execute("CREATE TABLE internal.signature AS SELECT ? AS value", [signature])

    def _views(self, connection: duckdb.DuckDBPyConnection, table: Table, layers: list[_LayerCommits]) -> None:
        if table.name == "classes":
            exists = self._store.files.exists(layout.CLASSES)
            paths = [self._store.files.uri(layout.CLASSES)] if exists else []
            body = f"SELECT * FROM read_parquet({quoted_list(paths)})" if paths else _no_rows(table, ())
            connection.execute(f"CREATE VIEW classes AS {body}")
            return
        is_errors = table.name == "errors"
        writers = [entry for entry in layers if is_errors or entry.layer.table.name == table.name]
        current = [entry for entry in writers if entry.is_current]
        for name, members in ((table.name, current), (f"{table.name}_all", writers)):
            selects = [s for entry in members if (s := self._select(entry, table, ERRORS if is_errors else ROWS))]
            # The declared columns come first, without rows: a layer of an earlier program may lack some of them.
            body = " UNION ALL BY NAME ".join([_no_rows(table, ("node", "layer")), *selects])
            connection.execute(f"CREATE VIEW {name} AS {body}")

    def _select(self, entry: _LayerCommits, table: Table, file: str) -> str:
        paths = [self._store.files.uri(f"{m.folder}/{file}") for m in entry.manifests.values() if file in m.files]
        if not paths:
            return ""
        written = {c.name for c in (table if file == ERRORS else entry.layer.table).scalars}
        columns = ", ".join(f'"{c.name}"' for c in table.scalars if c.name in written)
        node, layer = entry.layer.node, entry.layer.fingerprint
        return f"SELECT '{node}' AS node, '{layer}' AS layer, {columns} FROM read_parquet({quoted_list(paths)})"

    @staticmethod
    def _load(connection: duckdb.DuckDBPyConnection, table: Table, rows: list[dict[str, Any]]) -> None:
        frame = pa.Table.from_pylist(rows, schema=table.arrow_schema)
        connection.register("_rows", frame)
        connection.execute(f"CREATE TABLE {table.name} AS SELECT * FROM _rows")
        connection.unregister("_rows")

    def _committed_layers(self) -> list[_LayerCommits]:
        return [
            _LayerCommits(layer, layer.manifests(), self._current.get(node) == layer.fingerprint)
            for node in self._store.nodes()
            for layer in self._store.layers(node)
            # A layer with units but no record is kept: reading its record fails, where its rows would be missing.
            if self._store.files.exists(layout.layer_info(node, layer.fingerprint)) or layer.units()
        ]

    def _signature(self) -> str:
        """A digest that changes with the set of commits and of their attempts. It reads listings, and no manifest."""
        names, folders = self._store.files.names, (layout.commits, layout.attempts, layout.withdrawals)
        listings = {
            f"{node}/{layer.fingerprint}": [names(folder(node, layer.fingerprint)) for folder in folders]
            for node in self._store.nodes()
            for layer in self._store.layers(node)
        }
        tables = [table.to_dict() for table in self._tables.values()]
        return digest([self._store.files.root, listings, self._current, tables, [view.sql for view in self._further]])

    def _hint(self, message: str) -> str:
        if "Table with name" in message:
            word = message.split("Table with name", 1)[1].split()[0].strip('"')
            return nearest(word, [*self._tables, "commits", "layers", *(view.name for view in self._further)])
        return "See the tables with: pd sql 'SHOW TABLES', and the columns of one with: pd sql 'DESCRIBE images'"


def _unique(names: list[str]) -> list[str]:
    """``a, a, b`` -> ``a, a_1, b``, where ``a_1`` is not the name of another column."""
    unique: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        unique.append(name if name not in unique else next(new for new in numbered if new not in {*names, *unique}))
    return unique


def _open(path: str) -> duckdb.DuckDBPyConnection:
    """A read-only connection. The file is attached, since DuckDB shares a file opened by path even after a rename."""
    connection = duckdb.connect(":memory:")
    try:
        connection.execute(f"ATTACH {quoted(path)} AS store (READ_ONLY)")
        connection.execute("USE store")
    except BaseException:
        connection.close()
        raise
    return connection


def _unreadable(store: Store, message: str) -> CorruptData:
    return CorruptData(
        f"a committed file cannot be read: {message}",
        store.url,
        "Run: pd verify, then pd verify --repair",
    )


def _has_signature(path: str, signature: str) -> bool:
    if not os.path.exists(path):
        return False
    try:
        with contextlib.closing(_open(path)) as connection:
            row = connection.execute("SELECT value FROM internal.signature").fetchone()
    except duckdb.Error:
        # The file is damaged or of another version of DuckDB. It is a cache, so it is rebuilt.
        return False
    return row is not None and row[0] == signature


def _no_rows(table: Table, extra: tuple[str, ...]) -> str:
    columns = [f"NULL::VARCHAR AS {name}" for name in extra]
    columns += [f'NULL::{_SQL[c.dtype]} AS "{c.name}"' for c in table.scalars]
    return f"SELECT {', '.join(columns)} WHERE false"
