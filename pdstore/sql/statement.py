"""A statement and its parsed tree: which words it holds, and its text with columns left out of ``*``.

Masks and vectors are columns that a query reads only if it names them, so ``*`` must not stand for them. DuckDB has no
hidden columns; instead, the columns that a query names are added to the views, and each ``*`` over such a view gets an
``EXCLUDE``. A query that names none of them, or has no ``*`` beside them, runs as it was written.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb

__all__ = ["Statement", "parse"]

Hidden = Mapping[str, Collection[str]]
"""Table -> columns that ``*`` does not stand for; all in lower case."""
_IMPLIED = (1 << 64) - 1
"""The location of a ``*`` that is not written: that of ``FROM parts`` and of ``DESCRIBE parts``."""


@dataclass(frozen=True)
class Statement:
    """One statement that reads.

    Attributes:
        text: as it was sent.
        tree: the query of the statement as ``json_serialize_sql`` gives it.
        is_explained: the text has an EXPLAIN before the query.
    """

    text: str
    tree: Any
    is_explained: bool = False

    @cached_property
    def words(self) -> frozenset[str]:
        """Every name and every string of the query, in lower case: a column that is not among them is not named."""
        return frozenset(value.lower() for value in _values(self.tree) if isinstance(value, str))

    @cached_property
    def described(self) -> frozenset[str]:
        """The tables that the statement describes, in lower case: ``DESCRIBE parts``."""
        shown = [v for v in _values(self.tree) if isinstance(v, dict) and v.get("show_type") == "DESCRIBE"]
        sources = [ref["query"]["from_table"] for ref in shown if _is_bare(ref.get("query"))]
        return frozenset(source["table_name"].lower() for source in sources)

    def without(self, hidden: Hidden) -> str:
        """The text of the same statement, in which ``*`` does not stand for these columns of these tables."""
        if self.is_explained or self.described:
            return self.text
        tree = copy.deepcopy(self.tree)
        with contextlib.closing(duckdb.connect(":memory:")) as parser:
            if not _Stars(parser, hidden).visit(tree, frozenset(), []):
                return self.text
            row = parser.execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchone()
        assert row is not None, "one row per call"
        return str(row[0])


def parse(parser: duckdb.DuckDBPyConnection, sql: str) -> Any:
    """The tree of a query, with ``error`` true if DuckDB cannot give it."""
    row = parser.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    return json.loads(row[0]) if row else {"error": True, "error_message": "no result"}


class _Stars:
    """Adds the hidden columns to the EXCLUDE of every ``*`` of a tree."""

    def __init__(self, parser: duckdb.DuckDBPyConnection, hidden: Hidden) -> None:
        self._parser, self._hidden = parser, hidden

    def visit(self, value: Any, shadowed: frozenset[str], tables: list[tuple[str, Collection[str]]]) -> bool:
        """Change ``value`` in place; true if anything was changed.

        Args:
            shadowed: names that are common table expressions here, and no tables of the store.
            tables: (name, hidden columns) of what the query around ``value`` reads.
        """
        if isinstance(value, list):
            return any([self.visit(item, shadowed, tables) for item in value])
        if not isinstance(value, dict):
            return False
        changed = False
        if "cte_map" in value:
            for entry in value["cte_map"]["map"]:
                # A common table expression does not see itself, but those before it.
                changed |= self.visit(entry["value"], shadowed, [])
                shadowed = shadowed | {entry["key"].lower()}
        if "cte_name" in value:
            shadowed = shadowed | {value["cte_name"].lower()}
        if "from_table" in value:
            tables = list(self._tables(value["from_table"], shadowed))
        if value.get("class") == "STAR" and value["expr"] is None:
            changed |= self._exclude(value, tables)
        inside = [item for key, item in value.items() if key != "cte_map"]
        return any([self.visit(item, shadowed, tables) for item in inside]) or changed

    def _tables(self, source: Any, shadowed: frozenset[str]) -> Iterator[tuple[str, Collection[str]]]:
        if source["type"] == "JOIN":
            yield from self._tables(source["left"], shadowed)
            # Of a semi join, * has the columns of the left side alone.
            if source["join_type"] not in {"SEMI", "ANTI"}:
                yield from self._tables(source["right"], shadowed)
        elif source["type"] == "BASE_TABLE" and source["table_name"].lower() not in shadowed:
            columns = self._hidden.get(source["table_name"].lower(), ())
            if columns:
                yield source["alias"] or source["table_name"], columns

    def _exclude(self, star: Any, tables: list[tuple[str, Collection[str]]]) -> bool:
        named = {value.lower() for key in _LISTS for value in _values(star.get(key)) if isinstance(value, str)}
        found = [
            (table, column)
            for table, columns in tables
            if star["relation_name"].lower() in ("", table.lower())
            for column in columns
            if column not in named
        ]
        if found:
            # As this version of DuckDB writes it.
            excluded = ", ".join(f'"{table}"."{column}"' for table, column in found)
            written = parse(self._parser, f"SELECT * EXCLUDE ({excluded}) FROM t")
            star["qualified_exclude_list"] += written["statements"][0]["node"]["select_list"][0][
                "qualified_exclude_list"
            ]
        return bool(found)


_LISTS = ("exclude_list", "qualified_exclude_list", "replace_list", "rename_list")
"""What a ``*`` says of single columns, which it then does stand for, or leaves out already."""


def _values(value: Any) -> Iterator[Any]:
    """Whatever is in a tree, at any depth, keys of mappings apart."""
    yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _values(item)


def _is_bare(query: Any) -> bool:
    """True for the query that DuckDB makes of a table's name alone."""
    if not isinstance(query, dict) or query.get("from_table", {}).get("type") != "BASE_TABLE":
        return False
    return [column.get("query_location") for column in query["select_list"]] == [_IMPLIED]
