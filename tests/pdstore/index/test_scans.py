from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from pdstore import Layer
from pdstore.blockfile import ERRORS, ROWS
from pdstore.index.reader import IndexReader
from pdstore.index.scans import scans
from tests.pdstore.example import errors, filled, parts


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    layer = filled(str(tmp_path), units=range(4))
    layer.compact(everything=True)
    return layer


def scanned(layer: Layer, file: str = ROWS) -> tuple[list[int], list[tuple[int, str]]]:
    """The image ids that the scans find, sorted; and of each scan how many files it reads and on what condition."""
    commits = IndexReader(layer.store.files, layer.node, layer.fingerprint).commits()
    found = scans(layer.store.files, layer.node, layer.fingerprint, commits, file)
    ids: list[int] = []
    for uris, condition in found:
        sql = f"SELECT image_id FROM read_parquet({uris}){condition and f' WHERE {condition}'}"
        ids += [row[0] for row in duckdb.sql(sql).fetchall()]
    return sorted(ids), [(len(uris), condition) for uris, condition in found]


def by_blocks(layer: Layer) -> list[int]:
    """The reference."""
    return sorted(i for rows in layer.scan(["image_id"]) for i in rows["image_id"].tolist())


def test_gathered_rows_are_one_file(layer: Layer) -> None:
    """Blocks that were committed since are further files of the same scan."""
    assert scanned(layer) == (by_blocks(layer), [(1, "")])
    layer.commit(5, parts(3, seed=5))
    layer.commit(6, parts(0, seed=6))
    assert scanned(layer) == (by_blocks(layer), [(3, "")])


def test_units_that_do_not_count_are_left_out(layer: Layer) -> None:
    """By naming them, or those that count, whichever is shorter."""
    layer.withdraw(1)
    assert scanned(layer) == (by_blocks(layer), [(1, "_unit NOT IN (1)")])
    layer.withdraw(0)
    layer.withdraw(3)
    assert scanned(layer) == (by_blocks(layer), [(1, "_unit IN (2)")])
    layer.commit(1, parts(2, seed=9))
    assert scanned(layer) == (by_blocks(layer), [(1, ""), (1, "_unit IN (2)")])


def test_errors_are_gathered_too(layer: Layer) -> None:
    """Of the units that have some."""
    assert scanned(layer, ERRORS) == ([0, 1], [(1, "")])
    layer.commit(4, parts(1), errors=errors(1))
    assert scanned(layer, ERRORS) == ([0, 0, 1], [(2, "")])


def test_damaged_gathered_rows_are_read_from_the_blocks(layer: Layer, caplog: pytest.LogCaptureFixture) -> None:
    """With a note; nothing is missing."""
    (source,) = layer.commits().gathered
    assert source.file is not None and source.file.rows is not None
    layer.store.files.write(source.file.rows.path, b"half a file")
    assert scanned(layer) == (by_blocks(layer), [(4, "")])
    assert "rows.parquet is left out" in caplog.text
