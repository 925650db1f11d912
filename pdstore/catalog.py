"""The catalog: SQL views over the committed Parquet files of a store.

The catalog is derived from the commits, as the index of each layer and its newest manifests give them, and from the
judgements. For a local store it is kept in ``catalog.duckdb``; when either have changed it is written again as a
temporary file, which is then renamed. That reads the index and what is newer, and no block. Its table of units is
filled for the first query that names it. For a remote store, and for a reader who may not write to the store, it lives
in memory.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Iterable, Mapping

import duckdb
import pyarrow as pa

from pdstore import layout
from pdstore.blockfile import parquet_table
from pdstore.confined import confine, reading_statement
from pdstore.errors import CorruptData, InputMissing, PdError, UsageError, nearest
from pdstore.fingerprint import digest
from pdstore.index import fetch_bundle, kept_of
from pdstore.inventory import COMMITS, LAYERS, LayerCommits, commit_rows, layer_row
from pdstore.judgements import JUDGEMENTS, judgement_names, judgement_rows, read_judgements
from pdstore.records import read_checked
from pdstore.sql.catalog_file import has_signature, open_file, write_file
from pdstore.sql.functions import Problems
from pdstore.sql.mask_functions import FUNCTIONS, add_functions
from pdstore.sql.quoting import quoted
from pdstore.sql.sound_rows import SoundRows
from pdstore.sql.statement import Statement, with_views
from pdstore.sql.views import add_array_views, no_rows, table_views
from pdstore.store import Store
from pdstore.table import Table, View

__all__ = ["Catalog"]
_TREES = (layout.RECENT, layout.JUDGEMENTS)


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
        self._sound = SoundRows(store.files)
        self._lost: list[PdError] = []
        self._words: Collection[str] | None = None  # in an object store, other tables have no rows
        self._lists_units = True
        self._tables = {table.name: table for table in tables}

    def query(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """The result of one statement that reads. Repeated column names become ``name_1``, ``name_2``, …

        Args:
            tables: name -> further tables that the statement may read.

        Raises:
            UsageError: the SQL is not valid, or would do anything but read the store.
            CorruptData: a committed file cannot be read.
        """
        problems = Problems()
        try:
            statement = reading_statement(sql)
            named, functions = self._named(statement), FUNCTIONS.keys() & statement.words
            words = (
                None
                if statement.has_inner_text
                else with_views(statement.words, {v.name: v.sql for v in self._further})
            )
            with contextlib.closing(self._connection(named, functions, problems, words=words)) as connection:
                for name, rows in (tables or {}).items():
                    connection.register(name, rows)
                result = connection.sql(statement.without(named)).to_arrow_table()
                return result.rename_columns(_unique(result.column_names))
        except duckdb.PermissionException as error:
            fix = "To join a table of your own: pd sql QUERY --with NAME=FILE, or in Python db.sql(QUERY, NAME=rows)"
            problem = f"a query may read no file but the store's own: {str(error).strip()}"
            raise UsageError(problem, "pd sql", fix) from None
        except UnicodeDecodeError as error:
            # DuckDB's message repeats bytes of a damaged file.
            raise _unreadable(self._store, f"a text in it is not UTF-8 ({error.reason})") from None
        except duckdb.Error as error:
            if problems.first is not None:
                raise problems.first from None
            message = str(error).strip().split("\nDid you mean")[0]
            if any(self._store.files.uri(path) in message for path in (f"{layout.LAYERS}/", layout.CLASSES)):
                raise _unreadable(self._store, message) from None
            raise UsageError(f"the query is not valid: {message}", "pd sql", self._hint(message)) from None

    def signature(self) -> str:
        """Changes with the set of commits and with what the views show. Costs listings, and opens nothing."""
        with self._store.files.moment(_TREES):
            return self._signature(self._committed_layers())

    def connect(self, settings: Mapping[str, str] | None = None) -> duckdb.DuckDBPyConnection:
        """A connection that can read every view, and no file but the store's own. Close it after use.

        The views have no masks and vectors, which :meth:`query` adds where a query names them.

        Args:
            settings: DuckDB's settings for this connection, such as ``memory_limit``. They are locked with the others.

        Raises:
            CorruptData: a committed file cannot be read.
        """
        return self._connection({}, (), Problems(), settings)

    def _connection(
        self,
        named: Mapping[str, Collection[str]],
        functions: Collection[str],
        problems: Problems,
        settings: Mapping[str, str] | None = None,
        words: Collection[str] | None = None,
    ) -> duckdb.DuckDBPyConnection:
        with self._store.files.moment(_TREES):
            fetch_bundle(self._store.files)
            return self._connected(named, functions, problems, settings, words)

    def _connected(
        self,
        named: Mapping[str, Collection[str]],
        functions: Collection[str],
        problems: Problems,
        settings: Mapping[str, str] | None,
        words: Collection[str] | None,
    ) -> duckdb.DuckDBPyConnection:
        layers = self._sound.checked(self._committed_layers(), words)
        self._words = None if self._store.files.is_local else words
        self._lists_units = words is None or COMMITS.name in words
        of_all = {COMMITS.name, LAYERS.name, *(f"{name}_all" for name in self._tables)}
        if words is not None and self._lost and of_all & set(words):
            raise self._lost[0]
        if self._is_named("classes"):
            with contextlib.suppress(FileNotFoundError):
                read_checked(self._store.files, layout.CLASSES)
        try:
            connection = self._built(layers)
        except duckdb.Error as error:
            raise _unreadable(self._store, str(error).strip()) from error
        for name, value in (settings or {}).items():
            connection.execute(f"SET {name} = {quoted(value)}")
        # Committed files never change, so their footers are kept for the next query.
        connection.execute("SET parquet_metadata_cache = true")
        if named or functions:
            # Functions of Python run one at a time in any case, and so a layer is read unit by unit.
            connection.execute("SET threads = 1")
        uri = self._store.files.uri
        folders = [f"{uri(layout.LAYERS)}/"]
        if not self._store.files.is_local and (kept := kept_of(self._store.files).folder) is not None:
            folders.append(f"{kept}/")
        confine(connection, [uri(layout.CLASSES)], folders)
        for name in self._tables.keys() & named.keys():
            add_array_views(connection, self._store.files, self._tables[name], layers, named[name], problems)
        add_functions(connection, functions, problems)
        return connection

    def _named(self, statement: Statement) -> dict[str, list[str]]:
        """Table, and its twin of all layers -> the columns of masks and vectors that the statement names."""
        found: dict[str, list[str]] = {}
        for table in self._tables.values():
            twins = {table.name, f"{table.name}_all"}
            names = [c.name for c in table.arrays if c.name in statement.words or twins & statement.described]
            if names and twins & statement.words:
                found |= dict.fromkeys(twins, names)
        return found

    def _built(self, layers: list[LayerCommits]) -> duckdb.DuckDBPyConnection:
        signature = self._signature(layers)
        is_partial = self._lost or self._store.is_snapshot or any(entry.without for entry in layers)
        if self._store.files.is_local and not is_partial:
            # Without permission or space the cache is skipped. An error in the store itself is raised again below.
            with contextlib.suppress(OSError, duckdb.Error):
                return self._from_file(layers, signature)
        return self._in_memory(layers, signature)

    def _from_file(self, layers: list[LayerCommits], signature: str) -> duckdb.DuckDBPyConnection:
        # One whose table of units is filled, which takes longer than all views, serves every query.
        path, filled = self._store.files.full(layout.CATALOG), f"{signature} with units"
        wanted = filled if self._lists_units else signature
        if not has_signature(path, wanted, filled):
            write_file(self._store.files, lambda connection: self._build(connection, layers, wanted))
        return open_file(path)

    def _in_memory(self, layers: list[LayerCommits], signature: str) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(":memory:")
        try:
            if not self._store.files.is_local:
                connection.register_filesystem(self._store.files.fs)
            self._build(connection, layers, signature)
        except BaseException:
            connection.close()
            raise
        return connection

    def _build(self, connection: duckdb.DuckDBPyConnection, layers: list[LayerCommits], signature: str) -> None:
        for table in self._tables.values():
            self._views(connection, table, layers)
        units = [commit_rows(e.layer, e.commits) for e in layers] if self._lists_units else []
        _load(connection, COMMITS, pa.concat_tables([COMMITS.arrow_schema.empty_table(), *units]))
        described = [layer_row(e.layer, len(e.commits), e.is_current) for e in layers]
        _load(connection, LAYERS, pa.Table.from_pylist(described, schema=LAYERS.arrow_schema))
        _load(connection, JUDGEMENTS, judgement_rows(read_judgements(self._store.files)))
        for view in self._further:
            connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
        connection.execute("CREATE SCHEMA internal")
        connection.execute("CREATE TABLE internal.signature AS SELECT ? AS value", [signature])

    def _is_named(self, *names: str) -> bool:
        return self._words is None or not set(self._words).isdisjoint(names)

    def _views(self, connection: duckdb.DuckDBPyConnection, table: Table, layers: list[LayerCommits]) -> None:
        if not self._is_named(table.name, f"{table.name}_all"):
            layers = []
        if table.name == "classes":
            exists = self._is_named("classes") and self._store.files.exists(layout.CLASSES)
            if exists and not self._store.files.is_local:
                return _load(connection, table, parquet_table(self._store.files.read(layout.CLASSES)))
            path = self._store.files.uri(layout.CLASSES)
            body = f"SELECT * FROM read_parquet({quoted(path)})" if exists else no_rows(table.scalars)
            connection.execute(f"CREATE VIEW classes AS {body}")
            return
        for name, body in table_views(self._store.files, table, layers).items():
            connection.execute(f"CREATE VIEW {name} AS {body}")

    def _committed_layers(self) -> list[LayerCommits]:
        found, self._lost = [], []
        for layer in (layer for node in self._store.nodes() for layer in self._store.layers(node)):
            is_current = self._current.get(layer.node, layer.fingerprint) == layer.fingerprint
            try:
                commits = layer.commits()
                if not is_current and len(commits):
                    _ = layer.info
            except (CorruptData, InputMissing) as error:
                if is_current:
                    raise
                # A former layer that cannot be read is in the way of those queries alone that ask for it, and of none
                # once its record was set aside.
                if not self._store.files.exists(layout.layer_set_aside(layer.node, layer.fingerprint)):
                    self._lost.append(error)
                continue
            found.append(LayerCommits(layer, commits, self._current.get(layer.node) == layer.fingerprint))
        exists = self._store.files.exists
        if self._store.files.is_asked_once:
            return found
        # A layer with units but no record is kept: reading its record fails, where its rows would be missing.
        return [e for e in found if len(e.commits) or exists(layout.layer_info(e.layer.node, e.layer.fingerprint))]

    def _signature(self, layers: list[LayerCommits]) -> str:
        """A digest of what the catalog is made of. It changes with the commits, their attempts, and the judgements."""
        tables, views = [table.to_dict() for table in self._tables.values()], [view.sql for view in self._further]
        said = judgement_names(self._store.files)
        signatures = [entry.signature for entry in layers]
        return digest([self._store.files.root, signatures, self._current, tables, views, said])

    def _hint(self, message: str) -> str:
        if "Table with name" in message:
            word = message.split("Table with name", 1)[1].split()[0].strip('"')
            own = [COMMITS.name, LAYERS.name, JUDGEMENTS.name]
            return nearest(word, [*self._tables, *own, *(view.name for view in self._further)])
        return "See the tables with: pd sql 'SHOW TABLES', and the columns of one with: pd sql 'DESCRIBE images'"


def _load(connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    connection.register("_rows", rows)
    connection.execute(f"CREATE TABLE {table.name} AS SELECT * FROM _rows")
    connection.unregister("_rows")


def _unique(names: list[str]) -> list[str]:
    """``a, a, b`` -> ``a, a_1, b``, where ``a_1`` is not the name of another column."""
    unique: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        unique.append(name if name not in unique else next(new for new in numbered if new not in {*names, *unique}))
    return unique


def _unreadable(store: Store, message: str) -> CorruptData:
    fix = "Run: pd verify, then pd verify --repair"
    return CorruptData(f"a committed file cannot be read: {message}", store.url, fix)
