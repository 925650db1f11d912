"""The catalog: SQL views over the committed Parquet files of a store.

It is derived from the manifests alone. For a local store it is kept in ``catalog.duckdb`` and rebuilt, in a
temporary file that is renamed, when the set of commits has changed; elsewhere, and for a reader who may not write
there, it lives in memory.
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
_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}


@dataclass(frozen=True)
class _Found:
    layer: Layer
    manifests: Mapping[int, Manifest]
    is_current: bool


class Catalog:
    """SQL over a store.

    Args:
        tables: every table that has a view, so that a view exists also while nothing is committed.
        current: node -> fingerprint of the layer that its views show.
        views: further views, made of those of the tables.
    """

    def __init__(
        self, store: Store, tables: Iterable[Table], current: Mapping[str, str], views: Iterable[View] = ()
    ) -> None:
        self._store, self._current, self._further = store, dict(current), tuple(views)
        self._tables = {table.name: table for table in tables}

    def query(self, sql: str) -> pa.Table:
        """The result of one reading statement; of columns with one name the later ones are ``name_1``, ``name_2``, …

        Raises:
            UsageError: the SQL is wrong, or would write.
            CorruptData: a committed file cannot be read.
        """
        with contextlib.closing(self.connect()) as connection:
            try:
                statements = connection.extract_statements(sql)
                _refuse_writing(statements)
                found = connection.sql(statements[0].query).to_arrow_table()
                return found.rename_columns(_unique(found.column_names))
            except duckdb.Error as error:
                message = str(error).strip().split("\nDid you mean")[0]
                if f"{self._store.files.uri(layout.LAYERS)}/" in message:
                    raise _unreadable(self._store, message) from None
                raise UsageError(f"expected a valid query, found {message}", "pd sql", self._hint(message)) from None

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A connection on which every view can be read. Close it after use.

        Raises:
            CorruptData: a committed file cannot be read.
        """
        signature = self._signature()
        try:
            if self._store.files.is_local:
                # No permission, no space: it is only a cache. What is wrong with the store itself is met again below.
                with contextlib.suppress(OSError, duckdb.Error):
                    return self._from_file(signature)
            return self._in_memory(signature)
        except duckdb.Error as error:
            raise _unreadable(self._store, str(error).strip()) from error

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
                # Closing would write it too, but says nothing where there is no room.
                connection.execute("CHECKPOINT")
            os.replace(temporary, path)
        finally:
            for left in (temporary, f"{temporary}.wal"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(left)

    def _build(self, connection: duckdb.DuckDBPyConnection, signature: str) -> None:
        found = self._found()
        for table in self._tables.values():
            self._views(connection, table, found)
        self._load(connection, COMMITS, [commit_row(m) for f in found for m in f.manifests.values()])
        self._load(connection, LAYERS, [layer_row(f.layer, len(f.manifests), f.is_current) for f in found])
        for view in self._further:
            connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
        connection.execute("CREATE SCHEMA internal")
        connection.execute("CREATE TABLE internal.signature AS SELECT ? AS value", [signature])

    def _views(self, connection: duckdb.DuckDBPyConnection, table: Table, found: list[_Found]) -> None:
        if table.name == "classes":
            exists = self._store.files.exists(layout.CLASSES)
            paths = [self._store.files.uri(layout.CLASSES)] if exists else []
            body = f"SELECT * FROM read_parquet({_list(paths)})" if paths else _nothing(table, ())
            connection.execute(f"CREATE VIEW classes AS {body}")
            return
        is_errors = table.name == "errors"
        writers = [f for f in found if is_errors or f.layer.table.name == table.name]
        for name, members in ((table.name, [f for f in writers if f.is_current]), (f"{table.name}_all", writers)):
            selects = [s for f in members if (s := self._select(f, table, ERRORS if is_errors else ROWS))]
            # First the declared columns without a row: a layer of an earlier program may lack some of them.
            body = " UNION ALL BY NAME ".join([_nothing(table, ("node", "layer")), *selects])
            connection.execute(f"CREATE VIEW {name} AS {body}")

    def _select(self, found: _Found, table: Table, file: str) -> str:
        paths = [self._store.files.uri(f"{m.folder}/{file}") for m in found.manifests.values() if file in m.files]
        if not paths:
            return ""
        own = {c.name for c in (table if file == ERRORS else found.layer.table).scalars}
        columns = ", ".join(f'"{c.name}"' for c in table.scalars if c.name in own)
        node, layer = found.layer.node, found.layer.fingerprint
        return f"SELECT '{node}' AS node, '{layer}' AS layer, {columns} FROM read_parquet({_list(paths)})"

    @staticmethod
    def _load(connection: duckdb.DuckDBPyConnection, table: Table, rows: list[dict[str, Any]]) -> None:
        frame = pa.Table.from_pylist(rows, schema=table.arrow_schema)
        connection.register("_rows", frame)
        connection.execute(f"CREATE TABLE {table.name} AS SELECT * FROM _rows")
        connection.unregister("_rows")

    def _found(self) -> list[_Found]:
        return [
            _Found(layer, layer.manifests(), self._current.get(node) == layer.fingerprint)
            for node in self._store.nodes()
            for layer in self._store.layers(node)
            # One that has units and no record is an error, met when the record is read: its rows would be missed.
            if self._store.files.exists(layout.layer_info(node, layer.fingerprint)) or layer.units()
        ]

    def _signature(self) -> str:
        """Changes when a commit comes or goes, and when another attempt takes its place; no manifest is read for it."""
        names, folders = self._store.files.names, (layout.commits, layout.attempts, layout.withdrawals)
        seen = {
            f"{node}/{layer.fingerprint}": [names(folder(node, layer.fingerprint)) for folder in folders]
            for node in self._store.nodes()
            for layer in self._store.layers(node)
        }
        tables = [table.to_dict() for table in self._tables.values()]
        return digest([self._store.files.root, seen, self._current, tables, [view.sql for view in self._further]])

    def _hint(self, message: str) -> str:
        if "Table with name" in message:
            word = message.split("Table with name", 1)[1].split()[0].strip('"')
            return nearest(word, [*self._tables, "commits", "layers", *(view.name for view in self._further)])
        return "See the tables with: pd sql 'SHOW TABLES', and the columns of one with: pd sql 'DESCRIBE images'"


def _refuse_writing(statements: list[duckdb.Statement]) -> None:
    if len(statements) != 1:
        raise UsageError(f"expected one statement, found {len(statements)}", "pd sql", "Ask one question at a time")
    if statements[0].type not in _READING:
        fix = "The catalog is derived from the commits; to take rows out use: pd sql QUERY --format parquet > FILE"
        raise UsageError(f"expected a query that reads, found a {statements[0].type.name} statement", "pd sql", fix)


def _unique(names: list[str]) -> list[str]:
    """``a, a, b`` -> ``a, a_1, b``, where ``a_1`` is the name of no other column."""
    found: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        found.append(name if name not in found else next(new for new in numbered if new not in {*names, *found}))
    return found


def _open(path: str) -> duckdb.DuckDBPyConnection:
    """A reading connection. Attached, because DuckDB shares what one process opens at a path, also after a rename."""
    connection = duckdb.connect(":memory:")
    try:
        connection.execute(f"ATTACH {_quoted(path)} AS store (READ_ONLY)")
        connection.execute("USE store")
    except BaseException:
        connection.close()
        raise
    return connection


def _unreadable(store: Store, found: str) -> CorruptData:
    return CorruptData(
        f"expected committed files that can be read, found {found}",
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
        # Another version of DuckDB, or a file that is damaged: it is a cache, so it is made again.
        return False
    return row is not None and row[0] == signature


def _list(paths: list[str]) -> str:
    return f"[{', '.join(map(_quoted, paths))}]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _nothing(table: Table, extra: tuple[str, ...]) -> str:
    columns = [f"NULL::VARCHAR AS {name}" for name in extra]
    columns += [f'NULL::{_SQL[c.dtype]} AS "{c.name}"' for c in table.scalars]
    return f"SELECT {', '.join(columns)} WHERE false"
