from __future__ import annotations

import contextlib
from pathlib import Path

import duckdb
import pytest

from pdstore import Catalog, layout
from pdstore.files import Files
from pdstore.sql.catalog_file import has_signature, open_file, write_file
from tests.pdstore.example import TABLES, filled


def test_only_a_sound_file_of_the_same_signature_is_used(tmp_path: Path) -> None:
    """Not one that is missing, of another signature, or damaged."""
    path = str(tmp_path / "catalog")
    assert not has_signature(path, "a")
    with contextlib.closing(duckdb.connect(path)) as connection:
        connection.execute("CREATE SCHEMA internal")
        connection.execute("CREATE TABLE internal.signature AS SELECT 'a' AS value")
    assert has_signature(path, "a") and not has_signature(path, "b") and has_signature(path, "b", "a")
    with contextlib.closing(open_file(path)) as connection, pytest.raises(duckdb.Error, match="read-only"):
        connection.execute("CREATE TABLE x AS SELECT 1")
    Path(path).write_bytes(b"not a database")
    assert not has_signature(path, "a")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """What was there before stays if the new one fails, and nothing is left beside it."""
    files, path = Files(str(tmp_path)), tmp_path / layout.CATALOG

    def build(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE TABLE x AS SELECT 1 AS value")

    def fail(connection: duckdb.DuckDBPyConnection) -> None:
        build(connection)
        raise duckdb.Error("no more")

    write_file(files, build)
    before = path.read_bytes()
    with pytest.raises(duckdb.Error, match="no more"):
        write_file(files, fail)
    assert path.read_bytes() == before and [child.name for child in tmp_path.iterdir()] == [layout.CATALOG]
    with contextlib.closing(open_file(str(path))) as connection:
        assert connection.execute("FROM x").fetchall() == [(1,)]


def test_units_are_listed_once_a_query_names_them(tmp_path: Path) -> None:
    """Most queries do not, and at millions of images they take longer to list than the rest; ``connect`` may."""
    layer, path = filled(str(tmp_path)), tmp_path / layout.CATALOG
    catalog = Catalog(layer.store, TABLES, {layer.node: layer.fingerprint})

    def count(table: str) -> int:
        return catalog.query(f"SELECT count(*) AS n FROM {table}").column("n")[0].as_py()

    assert count("parts") == 9
    without = path.stat().st_ino
    assert catalog.query("DESCRIBE commits").column("column_name")[0].as_py() == "node"
    assert count("commits") == 2
    whole = path.stat().st_ino
    assert whole != without
    assert (count("parts"), count("commits")) == (9, 2)
    assert path.stat().st_ino == whole
    path.unlink()
    assert count("parts") == 9
    with contextlib.closing(catalog.connect()) as connection:
        assert connection.execute("SELECT count(*) FROM commits").fetchone() == (2,)
