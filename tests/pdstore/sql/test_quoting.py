from __future__ import annotations

import duckdb
import pytest

from pdstore.sql.quoting import quoted, quoted_list


@pytest.mark.parametrize("text", ["", "plain", "it's", "''", "a\\b", "line\nbreak", "é ☃", "'; DROP TABLE t; --"])
def test_a_literal_is_the_text_itself(text: str) -> None:
    """Whatever a text holds, DuckDB reads the literal as that text."""
    with duckdb.connect(":memory:") as connection:
        assert connection.sql(f"SELECT {quoted(text)}, {quoted_list([text, 'b'])}").fetchall() == [(text, [text, "b"])]
