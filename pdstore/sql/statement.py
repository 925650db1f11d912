"""A statement and its parsed tree: which words it holds, and its text with columns left out of ``*``.

Masks and vectors are columns that a query reads only if it names them, so ``*`` must not stand for them. DuckDB has no
hidden columns; instead, the columns that a query names are added to the views, and each ``*`` over such a view gets an
``EXCLUDE``, at the place that the parsed tree says. All else runs as it was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb

__all__ = ["Statement", "parse", "with_views"]

Hidden = Mapping[str, Collection[str]]
"""Table -> columns that ``*`` does not stand for; all in lower case."""
_RUN_TEXT = frozenset({"query", "query_table", "json_execute_serialized_sql"})
"""The functions that run a text."""
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
    def has_inner_text(self) -> bool:
        """Whether a function runs a query, or reads a table, whose name is computed: it may be any."""
        return not _RUN_TEXT.isdisjoint(self.words)

    @cached_property
    def tables(self) -> frozenset[str]:
        """The tables and views that the query names, and the names of its own ``WITH`` parts."""
        sources = [v for v in _values(self.tree) if isinstance(v, dict) and v.get("type") == "BASE_TABLE"]
        return frozenset(str(source["table_name"]) for source in sources)

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
        stars = _Stars(self.text.encode(), hidden)
        stars.visit(self.tree, frozenset(), None)
        return stars.text.decode()


def parse(parser: duckdb.DuckDBPyConnection, sql: str) -> Any:
    """The tree of a query, with ``error`` true if DuckDB cannot give it."""
    row = parser.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    return json.loads(row[0]) if row else {"error": True, "error_message": "no result"}


def with_views(words: Collection[str], views: Mapping[str, str]) -> set[str]:
    """The words of a query, and those of the views (name -> SQL) that it reads, in lower case."""
    found, left = set(words), dict(views)
    while named := left.keys() & found:
        found.update(word for name in named for word in re.findall(r"\w+", left.pop(name).lower()))
    return found


@dataclass(frozen=True)
class _Source:
    """What one query reads: (name, hidden columns) of its tables, and where in the text the first of them stands."""

    tables: list[tuple[str, Collection[str]]]
    place: int


class _Stars:
    """Adds the hidden columns to the EXCLUDE of every ``*`` of a statement. All places are those of bytes."""

    def __init__(self, text: bytes, hidden: Hidden) -> None:
        self._text, self._hidden = text, hidden
        self._added: list[tuple[int, str]] = []

    @property
    def text(self) -> bytes:
        """The statement, changed at those places alone."""
        found = self._text
        for place, words in sorted(self._added, reverse=True):
            found = found[:place] + words.encode() + found[place:]
        return found

    def visit(self, value: Any, shadowed: frozenset[str], source: _Source | None) -> None:
        """Find the stars in a part of the tree.

        Args:
            shadowed: names that are common table expressions here, and no tables of the store.
            source: what the query around ``value`` reads.
        """
        if isinstance(value, list):
            for item in value:
                self.visit(item, shadowed, source)
        if not isinstance(value, dict):
            return
        for entry in value.get("cte_map", {"map": ()})["map"]:
            # A common table expression does not see itself, but those before it.
            self.visit(entry["value"], shadowed, None)
            shadowed = shadowed | {entry["key"].lower()}
        if "cte_name" in value:
            shadowed = shadowed | {value["cte_name"].lower()}
        if "from_table" in value:
            source = _Source(list(self._tables(value["from_table"], shadowed)), min(_places(value["from_table"])))
        if value.get("class") == "STAR" and value["expr"] is None and source is not None:
            self._exclude(value, source)
        for key, item in value.items():
            if key != "cte_map":
                self.visit(item, shadowed, source)

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

    def _exclude(self, star: Any, source: _Source) -> None:
        named = {value.lower() for key in _LISTS for value in _values(star.get(key)) if isinstance(value, str)}
        found = [
            '"{}"."{}"'.format(table.replace('"', '""'), column)
            for table, columns in source.tables
            if star["relation_name"].lower() in ("", table.lower())
            for column in columns
            if column not in named
        ]
        if not found:
            return
        if star["query_location"] == _IMPLIED:
            self._select(star, source, ", ".join(found))
            return
        begin = star["query_location"] + len(star["relation_name"].encode())
        place = self._text.index(b"*", begin) + 1
        listed = _EXCLUDE.match(self._text, place)
        if listed is None:
            self._added.append((place, f" EXCLUDE ({', '.join(found)})"))
        elif listed["one"]:
            self._added += [(listed.start("one"), f"({', '.join(found)}, "), (listed.end("one"), ")")]
        else:
            self._added.append((listed.end(), f"{', '.join(found)}, "))

    def _select(self, star: Any, source: _Source, columns: str) -> None:
        """Write the ``*`` of ``FROM parts``, which is not written."""
        # The star of ORDER BY ALL stands for what is selected; that of TABLE parts has no place in the text.
        if star["columns"] or source.place == _IMPLIED:
            return
        words = list(re.finditer(rb"(?i)\bFROM\b", self._text[: source.place]))
        if words:
            self._added.append((words[-1].start(), f"SELECT * EXCLUDE ({columns}) "))


_EXCLUDE = re.compile(rb'(?i)\s*EXCLUDE\s*(?:\(|(?P<one>"(?:[^"]|"")*"|\w+))')
_LISTS = ("exclude_list", "qualified_exclude_list", "replace_list", "rename_list")
"""What a ``*`` says of single columns, which it then does stand for, or leaves out already."""


def _values(value: Any) -> Iterator[Any]:
    """Whatever is in a tree, at any depth, keys of mappings apart."""
    yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _values(item)


def _places(source: Any) -> Iterator[int]:
    """Where the tables of a FROM stand in the text; of a subquery, nowhere."""
    if source["type"] == "JOIN":
        yield from _places(source["left"])
        yield from _places(source["right"])
    else:
        yield source["query_location"] if source["type"] == "BASE_TABLE" else _IMPLIED


def _is_bare(query: Any) -> bool:
    """True for the query that DuckDB makes of a table's name alone."""
    if not isinstance(query, dict) or query.get("from_table", {}).get("type") != "BASE_TABLE":
        return False
    return [column.get("query_location") for column in query["select_list"]] == [_IMPLIED]
