from __future__ import annotations

import uuid
from typing import Any

import pytest

from pdstore import Catalog, Layer
from pdstore.errors import CorruptData
from pdstore.sql import fetched_rows
from tests.pdstore.example import TABLES, filled, parts

SUM = "SELECT sum(image_id) AS sum, count(*) AS rows FROM parts"


@pytest.fixture
def layer(s3_options: dict[str, Any]) -> Layer:
    return filled(f"s3://pdstore/{uuid.uuid4().hex}", units=range(3), **s3_options)


def ask(layer: Layer, sql: str = SUM) -> list[dict[str, object]]:
    return list(Catalog(layer.store, TABLES, {"grouping": layer.fingerprint}).query(sql).to_pylist())


def expected(layer: Layer) -> list[dict[str, object]]:
    rows = [layer.read(unit) for unit in layer.units()]
    return [{"sum": sum(int(r["image_id"].sum()) for r in rows), "rows": sum(map(len, rows))}]


@pytest.mark.parametrize("is_gathered", [False, True])
def test_a_query_reads_what_was_committed_and_fetches_it_once(layer: Layer, is_gathered: bool) -> None:
    """Masks, errors, names of tables and later commits included; and the same where files are too large to fetch."""
    if is_gathered:
        layer.compact(everything=True)
    assert ask(layer) == ask(layer) == expected(layer)
    assert ask(layer, "SELECT count(*) AS n FROM errors") == [{"n": 2}]
    assert ask(layer, "SELECT count(*) AS n FROM commits") == [{"n": 3}]
    assert ask(layer, "SELECT count(DISTINCT rle) AS n FROM parts WHERE image_id < 100") == [{"n": 4}]
    assert {"parts", "classes", "commits"} <= {row["name"] for row in ask(layer, "SHOW TABLES")}
    layer.commit(7, parts(3, seed=9))
    layer.withdraw(1)
    assert ask(layer) == expected(layer)


def test_files_that_are_too_large_to_fetch_are_read_where_they_are(
    layer: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same answer."""
    monkeypatch.setattr(fetched_rows, "LARGEST", 0)
    assert ask(layer) == expected(layer)
    layer.compact(everything=True)
    assert ask(layer) == ask(layer) == expected(layer)


def test_a_damaged_block_is_named(layer: Layer) -> None:
    """Also one whose bytes DuckDB would take."""
    path = f"{layer.manifest(1).folder}/rows.parquet"
    data = bytearray(layer.store.files.read(path))
    data[len(data) // 3] ^= 1
    layer.store.files.write(path, bytes(data))
    with pytest.raises(CorruptData, match=r"grouping unit 1: rows.parquet is damaged"):
        ask(layer)


def test_damaged_gathered_rows_are_replaced_by_those_of_the_blocks(layer: Layer) -> None:
    """As in a local store."""
    layer.compact(everything=True)
    [source] = layer.commits().gathered
    assert source.file is not None and source.file.rows is not None
    layer.store.files.write(source.file.rows.path, b"x" * source.file.rows.size)
    assert ask(layer) == expected(layer)
