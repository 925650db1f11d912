from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pdstore import Catalog, Layer
from pdstore.confined import confine, reading_statement
from pdstore.errors import UsageError
from tests.pdstore.conftest import Place
from tests.pdstore.example import TABLES, filled

READS = [
    "SELECT 1",
    "FROM parts",
    "VALUES (1), (2)",
    "SHOW TABLES",
    "DESCRIBE parts",
    "SUMMARIZE parts",
    "SELECT count(*) FROM parts WHERE score > 0.5 -- a comment; with a semicolon",
    "WITH best AS (SELECT max(score) s FROM parts) SELECT * FROM best UNION ALL SELECT 1",
    "WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n",
    "SELECT 'COPY (SELECT 1) TO x' AS text",
    'SELECT 1 AS "insert"',
    "EXPLAIN SELECT * FROM parts",
    "EXPLAIN ANALYZE SELECT * FROM parts",
    "/* über */ EXPLAIN (ANALYZE, FORMAT json) (SELECT 1)",
]
WRITES = [
    "COPY (SELECT 1) TO '{file}'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
    "EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '{file}'",
    "/* é */ EXPLAIN /* ANALYZE SELECT 1 */ ANALYZE COPY (SELECT 1) TO '{file}'",
    "WITH written AS (COPY (SELECT 1) TO '{file}') SELECT 1",
    "EXPLAIN ANALYZE WITH written AS (COPY (SELECT 1) TO '{file}') SELECT 1",
    "SELECT * FROM (WITH written AS (COPY (SELECT 1) TO '{file}') SELECT 1)",
    "SELECT (WITH written AS (COPY (SELECT 1) TO '{file}') SELECT max(1))",
    "SELECT 1 UNION ALL (WITH written AS (COPY (SELECT 1) TO '{file}') SELECT 1)",
    "WITH gone AS (DELETE FROM commits RETURNING node) SELECT * FROM gone",
    "WITH more AS (INSERT INTO layers SELECT * FROM layers RETURNING node) SELECT * FROM more",
    "EXPLAIN ANALYZE DELETE FROM commits",
    "DROP VIEW parts",
    "CREATE TEMP TABLE t AS SELECT 1",
    "EXPORT DATABASE '{file}'",
    "ATTACH '{file}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 1",
    "SET enable_external_access = true",
    "RESET allowed_directories",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "USE memory",
    "CHECKPOINT",
    "VACUUM",
]


def query(layer: Layer, sql: str, tables: dict[str, pa.Table] | None = None) -> list[dict[str, Any]]:
    catalog = Catalog(layer.store, TABLES, {layer.node: layer.fingerprint})
    rows: list[dict[str, Any]] = catalog.query(sql, tables).to_pylist()
    return rows


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file of the store but the catalog, which is derived."""
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file() and not p.name.startswith("catalog")}


@pytest.mark.parametrize("sql", READS)
def test_what_reads_passes(sql: str) -> None:
    """Queries in every form, and what explains or describes one."""
    assert sql.endswith(reading_statement(sql).text)


@pytest.mark.parametrize("sql", WRITES)
def test_what_writes_is_refused(sql: str, tmp_path: Path) -> None:
    """In whatever dress, also into the store's own folders: nothing is written, and no setting changes."""
    layer = filled(str(tmp_path / "store"))
    before = snapshot(tmp_path)
    target = tmp_path / "store" / "layers" / "written.csv"
    with pytest.raises(UsageError, match="expected a query that reads, found a"):
        query(layer, sql.format(file=target))
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("sql", ["", " -- nothing", "SELECT 1; SELECT 2", "SELECT 1; COPY (SELECT 1) TO 'x'"])
def test_exactly_one_statement(sql: str) -> None:
    """None and several are refused, and the message counts them."""
    with pytest.raises(UsageError, match="expected one statement, found [02]"):
        reading_statement(sql)


@pytest.mark.parametrize(
    "source",
    [
        "'{secret}'",
        "read_text('{secret}')",
        "read_blob('{secret}')",
        "read_csv('{secret}')",
        "glob('{folder}/*')",
        "parquet_metadata('{secret}')",
        "sniff_csv('{secret}')",
        "'{store}/store.json'",
        "'{store}/layers/../pipeline.json'",
        "read_text('{link}')",
        "'https://example.org/x.parquet'",
        "'s3://bucket/x.parquet'",
        "duckdb_secrets()",
    ],
)
def test_nothing_but_the_store_is_read(source: str, tmp_path: Path) -> None:
    """Files, links, URLs and secrets outside the layers are refused, and no extension is installed for them."""
    layer = filled(str(tmp_path / "store"))
    secret, link = tmp_path / "secret.csv", tmp_path / "store" / "link.csv"
    secret.write_text("word\nsesame\n")
    link.symlink_to(secret)
    text = source.format(secret=secret, folder=tmp_path, store=tmp_path / "store", link=link)
    with pytest.raises(UsageError, match="may read no file but the store's own.*--with NAME=FILE"):
        query(layer, f"SELECT * FROM {text}")


def test_a_store_at_a_url_is_confined_too(place: Place) -> None:
    """Its views are read; a file beside its layers is not."""
    layer = filled(place.url, **place.options)
    layer.store.files.write("beside.csv", b"word\nsesame\n")
    assert query(layer, "SELECT count(*) AS n FROM parts") == [{"n": 9}]
    with pytest.raises(UsageError, match="may read no file but the store's own"):
        query(layer, f"SELECT * FROM '{layer.store.files.uri('beside.csv')}'")


def test_tables_of_the_caller_join_the_stores_own(tmp_path: Path) -> None:
    """They are read by the caller, and have the names that it gives."""
    wanted = pa.table({"image_id": [0, 2, 100]})
    sql = "SELECT count(*) AS n FROM parts JOIN wanted USING (image_id)"
    assert query(filled(str(tmp_path / "store")), sql, {"wanted": wanted}) == [{"n": 3}]


def test_a_variable_of_python_is_no_table(tmp_path: Path) -> None:
    """DuckDB would look for a table among the variables of its callers."""
    with pytest.raises(UsageError, match="Table with name layer"):
        query(filled(str(tmp_path / "store")), "SELECT * FROM layer")


def test_a_confined_connection_stays_confined(tmp_path: Path) -> None:
    """What was allowed can be read; no later setting allows more."""
    kept, other = tmp_path / "kept's" / "a.csv", tmp_path / "b.csv"
    kept.parent.mkdir()
    for file in (kept, other):
        file.write_text("word\nsesame\n")
    with duckdb.connect(":memory:") as connection:
        confine(connection, [], [f"{kept.parent}/"])
        name = str(kept).replace("'", "''")
        assert connection.sql(f"SELECT * FROM read_csv('{name}')").fetchall() == [("sesame",)]
        with pytest.raises(duckdb.Error, match="locked"):
            connection.execute("SET enable_external_access = true")
        with pytest.raises(duckdb.Error, match="disabled"):
            connection.sql(f"SELECT * FROM '{other}'")


def test_the_tables_of_a_query_are_known_without_a_store() -> None:
    """Tables are found in joins, subqueries and parts of WITH, and a word in a text is none."""
    sql = "WITH best AS (FROM parts p) SELECT 'images' FROM best JOIN objects ON 1 IN (SELECT 1 FROM labels)"
    assert reading_statement(sql).tables == {"parts", "best", "objects", "labels"}
    for text in ("COPY parts TO 'x'", "SELECT 1; SELECT 2"):
        with pytest.raises(UsageError):
            reading_statement(text)
