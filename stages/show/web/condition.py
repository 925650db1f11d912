"""A condition that a person types: one expression of SQL that only reads, and that cannot leave its place.

It stands in ``SELECT … WHERE (condition) ORDER BY … LIMIT …``. So a text that closes the bracket, brings clauses of its
own or hides the rest behind a comment is refused: parsed in its place, it must be the WHERE clause and nothing else.
"""

from __future__ import annotations

import json

import duckdb

from pdstore.confined import reading_statement
from pdstore.errors import UsageError

__all__ = ["checked_condition", "identifiers"]

MAX_CHARACTERS = 4000
_WHERE = "WHERE"
_EMPTY = ("group_expressions", "group_sets", "having", "qualify", "sample", "modifiers")


def checked_condition(text: str) -> str:
    """The condition, ready to stand between brackets on lines of its own; empty if there is none.

    Raises:
        UsageError: it is no single expression, it does anything but read, or it is too long.
    """
    text = text.strip().rstrip(";").strip()
    if not text:
        return ""
    if len(text) > MAX_CHARACTERS:
        raise _wrong(f"expected at most {MAX_CHARACTERS} characters, found {len(text)}")
    # The bracket stands on a line of its own, so that a comment at the end cannot hide it.
    statement = f"SELECT 1 FROM images WHERE (\n{text}\n)"
    try:
        reading_statement(statement)
    except duckdb.Error as error:
        raise _wrong(f"the condition is not valid: {str(error).strip().splitlines()[0]}") from None
    if not _is_one_condition(statement):
        raise _wrong("expected one condition, found further clauses")
    return text


def identifiers(text: str) -> set[str]:
    """The words of a condition that may be names of columns, in small letters."""
    tokens, data = duckdb.tokenize(text), text.encode()
    ends = [*(offset for offset, _ in tokens), len(data)][1:]
    pairs = zip(tokens, ends, strict=bool(tokens))
    names = (data[offset:end].decode() for (offset, kind), end in pairs if kind == duckdb.token_type.identifier)
    return {name.strip().strip('"').lower() for name in names}


def _is_one_condition(statement: str) -> bool:
    with duckdb.connect(":memory:") as parser:
        row = parser.execute("SELECT json_serialize_sql(?)", [statement]).fetchone()
    statements = json.loads(row[0])["statements"] if row else []
    node = statements[0]["node"] if len(statements) == 1 else {}
    if len(statements) != 1 or statements[0].get("named_param_map"):
        return False  # a question mark would take the value of another one
    is_select = node.get("type") == "SELECT_NODE" and node.get("from_table", {}).get("type") == "BASE_TABLE"
    return is_select and len(node["select_list"]) == 1 and not any(node.get(name) for name in _EMPTY)


def _wrong(problem: str) -> UsageError:
    return UsageError(problem, _WHERE, "For example: class_name = 'cat' AND width > 300")
