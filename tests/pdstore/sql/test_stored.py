from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pdstore import Layer
from pdstore.errors import PdError
from pdstore.inventory import LayerCommits
from pdstore.sql.stored import KEPT_UNITS, StoredColumn
from tests.pdstore.example import PARTS, filled, parts

COLUMNS = {column.name: column for column in PARTS.columns}


def stored(layer: Layer, name: str) -> StoredColumn:
    return StoredColumn(LayerCommits(layer, layer.commits(), True), COLUMNS[name])


def uri(layer: Layer, unit: int) -> str:
    return layer.store.files.uri(f"{layer.manifest(unit).folder}/rows.parquet")


def ask(column: StoredColumn, rows: list[tuple[str, int]]) -> pa.Array:
    files, numbers = zip(*rows, strict=True)
    return column.values(pa.chunked_array([list(files)]), pa.chunked_array([pa.array(numbers, pa.int64())]))


def test_values_come_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    """Rows of many units may be mixed, and repeated; more units than are kept in memory are read again."""
    layer = filled(str(tmp_path / "store"), range(5))
    rng = np.random.default_rng(0)
    rows = [(unit, row) for unit in range(5) for row in range(4 + unit)] * 2
    mixed = [rows[i] for i in rng.permutation(len(rows))]
    asked = [(uri(layer, unit), row) for unit, row in mixed]
    masks, vectors = (ask(stored(layer, name), asked).to_pylist() for name in ("rle", "feature"))
    of = {unit: parts(4 + unit, seed=unit) for unit in range(5)}
    assert KEPT_UNITS < 5
    assert masks == [of[unit].ragged("rle")[row] for unit, row in mixed]
    assert vectors == [of[unit]["feature"][row].astype(np.float32).tolist() for unit, row in mixed]


def test_a_unit_that_was_computed_again_is_an_error(tmp_path: Path) -> None:
    """The rows of one attempt are never given the masks of another."""
    layer = filled(str(tmp_path / "store"))
    column, place = stored(layer, "rle"), uri(layer, 0)
    layer.withdraw(0)
    layer.commit(0, parts(4, seed=9))
    with pytest.raises(PdError, match="grouping unit 0: the unit was computed again while the query ran.*again"):
        ask(column, [(place, 0)])
