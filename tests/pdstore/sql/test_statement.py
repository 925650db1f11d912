"""Statements: which names they hold, and which columns their ``*`` stands for."""

from __future__ import annotations

import duckdb
import pytest

from pdstore.confined import reading_statement

HIDDEN = {"parts": ["rle"], "parts_all": ["rle"], "objects": ["rle"]}
TABLES = """
CREATE TABLE parts AS SELECT 1 AS id, 2 AS score, 'p' AS rle;
CREATE TABLE objects AS SELECT 1 AS id, 3 AS area, 'o' AS rle;
CREATE TABLE mine AS SELECT 1 AS id, 'm' AS rle;
"""


def columns(sql: str) -> list[str]:
    """The columns of the result, if ``*`` does not stand for masks."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(TABLES)
        return connection.sql(reading_statement(sql).without(HIDDEN)).columns


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM parts", "id score"),
        ("FROM parts", "id score"),
        ("SELECT *, rle FROM parts", "id score rle"),
        ("SELECT rle, * FROM Parts", "rle id score"),
        ("SELECT p.*, p.rle FROM parts AS p", "id score rle"),
        ('SELECT "p q".* FROM parts AS "p q"', "id score"),
        ("SELECT * EXCLUDE (score) FROM parts", "id"),
        ("SELECT * EXCLUDE (rle) FROM parts", "id score"),
        ("SELECT * EXCLUDE (parts.rle) FROM parts", "id score"),
        ("SELECT * REPLACE (upper(rle) AS rle) FROM parts", "id score rle"),
        ("SELECT COLUMNS(*) FROM parts", "id score"),
        ("SELECT * FROM parts JOIN objects USING (id)", "id score area"),
        ("SELECT p.*, o.rle FROM parts p JOIN objects o USING (id)", "id score rle"),
        ("SELECT * FROM parts, objects", "id score id area"),
        ("SELECT * FROM parts SEMI JOIN objects USING (id)", "id score"),
        ("SELECT * FROM parts ANTI JOIN objects USING (id)", "id score"),
        ("SELECT * FROM mine", "id rle"),
        ("SELECT * FROM parts JOIN mine USING (id)", "id score rle"),
        ("SELECT * FROM (SELECT id, rle FROM parts)", "id rle"),
        ("SELECT * FROM (SELECT * FROM parts)", "id score"),
        ("SELECT * FROM parts WHERE id IN (SELECT id FROM (SELECT * FROM objects))", "id score"),
        ("WITH t AS (SELECT *, rle FROM parts) SELECT * FROM t", "id score rle"),
        ("WITH parts AS (SELECT id, rle FROM parts) SELECT * FROM parts", "id rle"),
        ("WITH t AS (SELECT * FROM parts) SELECT * FROM (SELECT * FROM t)", "id score"),
        ("SELECT * FROM parts UNION ALL SELECT *, 1 FROM (SELECT id FROM objects)", "id score"),
        ("SELECT 1 AS rle", "rle"),
    ],
)
def test_a_star_stands_for_no_mask(sql: str, expected: str) -> None:
    """Only a column that is named is in the result, at whatever depth the ``*`` is; other tables are as they are."""
    assert [name.partition("_")[0] for name in columns(sql)] == expected.split()


@pytest.mark.parametrize(
    "sql",
    ["SELECT id, rle  FROM parts -- as it is", "EXPLAIN SELECT *, rle FROM parts", "SELECT * FROM mine", "SELECT 1"],
)
def test_what_needs_no_change_is_not_changed(sql: str) -> None:
    """A statement without a ``*`` over such a table keeps its text, up to spaces and comments at its ends."""
    statement = reading_statement(sql)
    assert statement.without(HIDDEN) == statement.text


def test_words_are_all_that_a_query_names() -> None:
    """Names count in any case, in subqueries and in strings; what is not there is not named."""
    words = reading_statement("SELECT p.RLE FROM parts p WHERE id IN (SELECT \"Feature\" FROM x) AND n = 'node'").words
    assert {"rle", "feature", "parts", "p", "node"} <= words and "objects" not in words


def test_words_of_an_explained_query_are_those_of_the_query() -> None:
    """EXPLAIN needs the same columns."""
    assert "rle" in reading_statement("EXPLAIN ANALYZE SELECT rle FROM parts").words


def test_a_described_table_is_told_from_a_described_query() -> None:
    """DESCRIBE of a table lists all columns; of a query, those of its result."""
    assert reading_statement("DESCRIBE parts").described == {"parts"}
    assert reading_statement("DESCRIBE SELECT * FROM parts").described == set()
    assert reading_statement("SUMMARIZE parts").described == set()
