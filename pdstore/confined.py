"""SQL that only reads, and reads nothing but the store.

Three fences, for each alone has gaps. The text is parsed, and only queries pass: DuckDB counts a ``COPY`` inside a
``WITH`` or after ``EXPLAIN ANALYZE`` as a query. The connection may open the store's committed files and no other. And
its configuration is locked, so that no statement can take a fence down or load an extension.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

from pdstore.errors import UsageError
from pdstore.sql.quoting import quoted_list
from pdstore.sql.statement import Statement, parse

__all__ = ["confine", "reading_statement"]

WHERE = "pd sql"
_QUERY_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
"""Nodes of a parsed statement that only read. Whatever else is a node writes, or is not known to read."""


def confine(connection: duckdb.DuckDBPyConnection, files: Iterable[str], folders: Iterable[str]) -> None:
    """Let the connection open these files, and those below these folders, and nothing else from now on."""
    for setting in (
        f"allowed_paths = {quoted_list(files)}",
        f"allowed_directories = {quoted_list(folders)}",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "python_enable_replacements = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


def reading_statement(sql: str) -> Statement:
    """The one statement of ``sql``, which only reads.

    Raises:
        UsageError: there is none or more than one, or it does anything but read, or it is no text.
        duckdb.Error: it is not valid SQL.
    """
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        found = f"{sql[error.start]!r} at character {error.start + 1}"
        raise UsageError(f"expected text in UTF-8, found {found}", WHERE, "Send the query as UTF-8") from None
    # A connection of its own: to parse a text, nothing of the store is needed.
    with contextlib.closing(duckdb.connect(":memory:")) as parser:
        statements = parser.extract_statements(sql)
        if len(statements) != 1:
            raise UsageError(f"expected one statement, found {len(statements)}", WHERE, "Send one statement at a time")
        text = str(statements[0].query)
        is_explained = statements[0].type == duckdb.StatementType.EXPLAIN
        if is_explained:
            statements = _explained(parser, text)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise _writes(statements[0].type.name if statements else "EXPLAIN")
        tree = _parsed(parser, statements[0].query)
        for node in _nodes(tree):
            if node not in _QUERY_NODES:
                raise _writes(node.removesuffix("_QUERY_NODE"))
        return Statement(text, tree, is_explained)


def _parsed(parser: duckdb.DuckDBPyConnection, sql: str) -> Any:
    parsed = parse(parser, sql)
    if parsed["error"]:
        raise UsageError(f"the query cannot be checked: {parsed['error_message']}", WHERE, "Use a SELECT")
    return parsed


def _explained(parser: duckdb.DuckDBPyConnection, sql: str) -> list[duckdb.Statement]:
    """``EXPLAIN (ANALYZE, FORMAT json) SELECT 1`` -> ``SELECT 1``: the first words that form a statement."""
    data = sql.encode()
    for offset, _ in duckdb.tokenize(sql)[1:]:
        with contextlib.suppress(duckdb.Error):
            if statements := parser.extract_statements(data[offset:].decode()):
                return statements
    return []


def _nodes(parsed: Any) -> Iterator[str]:
    """The type of every query node of a parsed statement, at whatever depth."""
    if isinstance(parsed, dict):
        kind = parsed.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE"):
            yield kind
        for value in parsed.values():
            yield from _nodes(value)
    elif isinstance(parsed, list):
        for value in parsed:
            yield from _nodes(value)


def _writes(kind: str) -> UsageError:
    fix = "Use a SELECT; to export rows, run: pd sql QUERY --format parquet > FILE"
    return UsageError(f"expected a query that reads, found a {kind} statement", WHERE, fix)
