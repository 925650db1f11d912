"""``pd sql``: four formats, and queries that are refused."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cli.main import run_command
from pdstore import masks
from tests.cli.conftest import Pd, assert_error, committed


def test_sql_prints_four_formats(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Table, CSV, JSON and Parquet hold the same rows; - reads the query from stdin."""
    pd("run", "ingest")
    query = "SELECT class_name, count(*) AS n, sum(width) AS w FROM images GROUP BY 1 ORDER BY 1"
    expected = [{"class_name": "cat", "n": 3, "w": 144}, {"class_name": "dog", "n": 3, "w": 144}]
    assert json.loads(pd("sql", query, "--format", "json").out) == expected
    rows = list(csv.DictReader(io.StringIO(pd("sql", query, "--format", "csv").out)))
    assert [(r["class_name"], int(r["n"])) for r in rows] == [("cat", 3), ("dog", 3)]
    assert pd("sql", query).out.splitlines()[0].split() == ["class_name", "n", "w"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(query))
    assert json.loads(pd("sql", "-", "--format", "json").out) == expected


def test_sql_keeps_columns_of_the_same_name(pd: Pd, store: Path) -> None:
    """No format loses a column when two have the same name."""
    head, *_, row = pd("sql", "SELECT 1 a, 2 a").out.splitlines()
    assert head.split() == ["a", "a_1"] and row.split() == ["1", "2"]
    assert pd("sql", "SELECT 1 a, 2 a", "--format", "csv").out == "a,a_1\n1,2\n"
    assert json.loads(pd("sql", "SELECT 1 a, 2 a", "--format", "json").out) == [{"a": 1, "a_1": 2}]


def test_sql_writes_parquet_to_a_pipe(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes on stdout are a Parquet file."""
    pd("run", "ingest")
    sink = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(sink))
    assert run_command(["sql", "SELECT * FROM images", "--format", "parquet"]) == 0
    assert pq.read_table(io.BytesIO(sink.getvalue())).num_rows == 6


def test_sql_table_shows_the_first_rows_and_says_so(pd: Pd, store: Path) -> None:
    """A long result is cut, with a line on stderr about the rest; a long value ends in an ellipsis."""
    result = pd("sql", "SELECT i, repeat('x', 500) AS x FROM range(250) t(i)")
    assert len(result.out.splitlines()) == 102 and "100 of 250 rows" in result.err
    assert "…" in result.out and "x" * 100 not in result.out


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELEC 1", ("syntax error", "DESCRIBE")),
        ("SELECT * FROM imagess", ("imagess", "Did you mean 'images'?")),
        ("SELECT nothing FROM images", ("nothing",)),
        ("SELECT 1; SELECT 2", ("expected one statement, found 2",)),
    ],
)
def test_sql_that_is_wrong(pd: Pd, store: Path, query: str, words: tuple[str, ...]) -> None:
    """The error is DuckDB's, with a hint."""
    assert_error(pd("sql", query), 2, *words)


@pytest.mark.parametrize(
    "query",
    [
        "DROP VIEW images",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO commits VALUES (1)",
        "COPY (SELECT 1) TO 'x.csv'",
    ],
)
def test_sql_that_writes(pd: Pd, store: Path, query: str) -> None:
    """The catalog is derived: a query can write neither to it nor to a file."""
    pd("run", "ingest")
    before = committed(store)
    assert_error(pd("sql", query), 2, "a query that reads, found")
    assert committed(store) == before and not Path("x.csv").exists()


def test_parquet_to_a_terminal(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error shows how to write it to a file."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert_error(pd("sql", "SELECT 1", "--format", "parquet"), 2, "found a terminal", "> FILE")


def test_csv_is_made_harmless_on_a_terminal_alone(pd: Pd, pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal would obey an escape character; a program gets the text as it is, a formula or not."""
    query = "SELECT chr(27) || '[2J' AS a, '=1+1' AS b"
    assert pd("sql", query, "--format", "csv").out == "a,b\n\x1b[2J,=1+1\n"
    assert pd("sql", "SELECT chr(8238) AS a", "--format", "json").out.count("\\u202e") == 1
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert pd("sql", query, "--format", "csv").out == "a,b\n\\x1b[2J,=1+1\n"


def test_a_table_of_ones_own_joins_the_stores(pd: Pd, store: Path, tmp_path: Path) -> None:
    """`--with NAME=FILE` reads CSV or Parquet; the query itself opens no file."""
    pd("run", "ingest")
    key = pd("sql", "SELECT key FROM images ORDER BY key LIMIT 1", "--format", "csv").out.split()[1]
    mine = tmp_path / "mine.csv"
    mine.write_text(f"key,wanted\n{key},7\n")
    sql = "SELECT wanted FROM images JOIN mine USING (key)"
    assert pd("sql", sql, "--with", f"mine={mine}", "--format", "csv").out.split() == ["wanted", "7"]
    assert_error(pd("sql", f"SELECT * FROM '{mine}'"), 2, "no file but the store's own", "--with NAME=FILE")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("mine", "expected NAME=FILE, found 'mine'"),
        ("my table=x.csv", "expected NAME=FILE"),
        ("images=x.csv", "the store has a table images of its own"),
        ("parts_all=x.csv", "the store has a table parts_all of its own"),
        ("mine=x.csv", "x.csv: there is no such file"),
    ],
)
def test_a_table_that_cannot_be_had_is_refused(pd: Pd, store: Path, given: str, message: str) -> None:
    """Before anything is asked of the store."""
    assert_error(pd("sql", "SELECT 1", "--with", given), 2, message)


def test_masks_and_vectors_are_printed_in_every_format(pd: Pd, store: Path) -> None:
    """A mask is COCO's text in CSV and JSON, its number of bytes in a table; ``*`` stands for neither."""
    pd("run", "ingest", "detic", "grouping")
    assert "rle" not in pd("sql", "SELECT * FROM parts", "--format", "csv").out.splitlines()[0]
    query = (
        "SELECT image_id, rle, feature, list(rle) OVER () AS rles, area, height, width FROM parts ORDER BY ALL LIMIT 1"
    )
    (row,) = json.loads(pd("sql", query, "--format", "json").out)
    assert masks.decode_one(row["rle"].encode(), row["height"], row["width"]).sum() == row["area"]
    assert row["rle"] in row["rles"] and isinstance(row["feature"][0], float)
    (line,) = csv.DictReader(io.StringIO(pd("sql", query, "--format", "csv").out))
    assert line["rle"] == row["rle"]
    assert f"<{len(row['rle'])} bytes>" in pd("sql", query).out


def test_functions_of_masks(pd: Pd, store: Path) -> None:
    """They are known without a word; with another frame than the row's, the error says what to give."""
    pd("run", "ingest", "detic")
    query = "SELECT bool_and(mask_area(rle, height, width) = area) AS same FROM objects"
    assert json.loads(pd("sql", query, "--format", "json").out) == [{"same": True}]
    assert_error(pd("sql", "SELECT mask_area(rle, 3, 3) FROM objects"), 2, "mask_area", "Give the height and width")


def test_bytes_that_are_no_text_are_base64(pd: Pd, store: Path) -> None:
    """JSON and CSV hold text; the bytes can be had back."""
    query = r"SELECT '\xFF\x00'::BLOB AS b, 'abc'::BLOB AS c"
    assert json.loads(pd("sql", query, "--format", "json").out) == [{"b": "/wA=", "c": "abc"}]
    assert pd("sql", query, "--format", "csv").out == "b,c\n/wA=,abc\n"
