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
        ("SELECT * EXCLUDE score FROM parts", "id"),
        ('SELECT * EXCLUDE "score" REPLACE (7 AS id) FROM parts', "id"),
        ("SELECT * REPLACE (7 AS id) FROM parts", "id score"),
        ("SELECT COLUMNS(*) FROM parts", "id score"),
        ("SELECT 'é*' AS \"ö*\", p . * FROM parts p", "ö* id score"),
        ('SELECT "a*""b" . * FROM parts AS "a*""b"', "id score"),
        ("FROM parts JOIN objects USING (id) WHERE parts.rle > ''", "id score area"),
        ("SELECT * FROM (FROM parts WHERE rle > '')", "id score"),
        ("SELECT id FROM objects UNION ALL SELECT id FROM (FROM parts)", "id"),
        ("SELECT score, * FROM parts ORDER BY ALL", "score id score"),
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


QUERIES = """
SELECT *, row_number() OVER (PARTITION BY score % 2 ORDER BY id DESC) AS n FROM parts QUALIFY n = 1 ORDER BY ALL
SELECT *, list_transform([1, 2], lambda x: x * id) AS l, {'a': id} AS s, 'it''s *' AS t, 1e-5 FROM parts ORDER BY id
SELECT *, CASE WHEN score > 2 THEN 'a' END AS c, id::DECIMAL(9, 2) / 3, DATE '2020-01-02' + 1 FROM parts ORDER BY id
SELECT UNNEST([1, 2]) AS u, * FROM parts ORDER BY ALL
SELECT * FROM parts UNION ALL BY NAME SELECT 9 AS id ORDER BY ALL
SELECT DISTINCT ON (score % 2) * FROM parts ORDER BY score % 2, id
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) FROM parts, t WHERE n = id ORDER BY n
SELECT *, count(*) FILTER (score > 2) OVER w AS c FROM parts WINDOW w AS (ORDER BY id) ORDER BY id
SELECT * /* not * this */ FROM parts p ASOF JOIN (SELECT id AS k FROM parts) o ON p.id >= o.k ORDER BY ALL -- nor *
FROM parts SELECT *, id ** 2, id * 3 ORDER BY id DESC LIMIT 2 OFFSET 1
SELECT * FROM parts, LATERAL (SELECT parts.id + 1 AS next) ORDER BY id
SELECT * FROM parts EXCEPT SELECT * FROM parts WHERE id = 1 ORDER BY ALL
SELECT * RENAME (score AS points) FROM parts ORDER BY id
"""


@pytest.mark.parametrize("sql", QUERIES.strip().splitlines())
def test_the_rest_of_a_statement_means_what_it_meant(sql: str) -> None:
    """The answer is that of the same statement on a table that has no masks."""
    rows = "(SELECT i AS id, 4 - i AS score FROM range(4) t(i))"
    answers = []
    for columns in ("*", "*, 'mask' || id AS rle"):
        with duckdb.connect(":memory:") as connection:
            connection.execute(f"CREATE TABLE parts AS SELECT {columns} FROM {rows}")
            text = sql if columns == "*" else reading_statement(sql).without(HIDDEN)
            answer = connection.sql(text)
            answers.append((answer.columns, answer.fetchall()))
    assert answers[0] == answers[1] and answers[0][1]


def test_words_are_all_that_a_query_names() -> None:
    """Names count in any case, in subqueries and in strings; what is not there is not named."""
    words = reading_statement("SELECT p.RLE FROM parts p WHERE id IN (SELECT \"Feature\" FROM x) AND n = 'node'").words
    assert {"rle", "feature", "parts", "p", "node"} <= words and "objects" not in words


@pytest.mark.parametrize("source", ["query('FROM parts')", "query_table('parts')", "QUERY_TABLE(['a', 'b'])"])
def test_a_function_that_runs_a_text_may_read_anything(source: str) -> None:
    """The name of what it reads may be computed, so the words do not tell it."""
    assert reading_statement(f"SELECT * FROM (SELECT * FROM {source})").has_inner_text
    assert not reading_statement("SELECT * FROM parts").has_inner_text


def test_words_of_an_explained_query_are_those_of_the_query() -> None:
    """EXPLAIN needs the same columns."""
    assert "rle" in reading_statement("EXPLAIN ANALYZE SELECT rle FROM parts").words


def test_a_described_table_is_told_from_a_described_query() -> None:
    """DESCRIBE of a table lists all columns; of a query, those of its result."""
    assert reading_statement("DESCRIBE parts").described == {"parts"}
    assert reading_statement("DESCRIBE SELECT * FROM parts").described == set()
    assert reading_statement("SUMMARIZE parts").described == set()
