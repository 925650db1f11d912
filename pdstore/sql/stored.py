"""Masks and vectors for SQL: the values that belong to rows of Parquet files, read from the arrays of their units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pdstore import layout
from pdstore.errors import PdError
from pdstore.inventory import LayerCommits
from pdstore.ragged import Ragged
from pdstore.reading.window import Window
from pdstore.table import Column, Rows

__all__ = ["StoredColumn"]

KEPT_UNITS = 2
"""Units of a column that are kept in memory: a scan goes through a layer unit by unit."""

Ints = npt.NDArray[np.int64]


class StoredColumn:
    """One column of masks or vectors of a layer. Memory: that column of :data:`KEPT_UNITS` units."""

    def __init__(self, entry: LayerCommits, column: Column) -> None:
        self._layer, self._column = entry.layer, column
        folder = layout.attempts(entry.layer.node, entry.layer.fingerprint)
        self._attempts: dict[int, str] = dict(zip(entry.commits.units, entry.commits.column("name"), strict=True))
        # Parquet file -> (the row at which each of its units begins, the units).
        self._places: dict[str, tuple[Ints, Ints]] = {
            entry.uri(f"{folder}/{name}/rows.parquet"): (np.zeros(1, np.int64), np.array([unit]))
            for unit, name in self._attempts.items()
        }
        for source in entry.commits.gathered:
            if source.file is not None and source.file.rows is not None:
                counts = source.table.column("rows").to_numpy()
                starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
                self._places[entry.uri(source.file.rows.path)] = (starts, source.table.column("unit").to_numpy())
        self._units: Window[Rows] = Window(self._load, KEPT_UNITS)

    def values(self, filename: pa.ChunkedArray, row: pa.ChunkedArray) -> pa.Array:
        """The value of each row of these Parquet files: binary, or lists of float32."""
        files, rows = filename.to_pylist(), row.to_numpy()
        pieces: list[Any] = []
        order: list[Ints] = []
        for file in dict.fromkeys(files):
            chosen = np.flatnonzero([name == file for name in files])
            for numbers, unit, within in self._by_unit(file, chosen, rows[chosen]):
                loaded = self._units[unit]
                is_ragged = self._column.layout == "ragged"
                whole = loaded.ragged(self._column.name) if is_ragged else loaded[self._column.name]
                pieces.append(whole.take(within) if isinstance(whole, Ragged) else whole[within])
                order.append(numbers)
        place = np.empty(len(rows), np.int64)
        place[np.concatenate(order)] = np.arange(len(rows))
        return _binary(Ragged.concat(pieces).take(place)) if is_ragged else _lists(np.concatenate(pieces)[place])

    def _by_unit(self, file: str, chosen: Ints, rows: Ints) -> Iterator[tuple[Ints, int, Ints]]:
        starts, units = self._places[file]
        # Units without rows begin where the next one does: the last that begins at or before a row has it.
        number = np.searchsorted(starts, rows, "right") - 1
        for value in np.unique(number).tolist():
            is_of = number == value
            yield chosen[is_of], int(units[value]), rows[is_of] - starts[value]

    def _load(self, unit: int) -> Rows:
        manifest = self._layer.manifest(unit)
        if layout.attempt_name(unit, manifest.attempt) != self._attempts.get(unit):
            place = f"{self._layer.node} unit {unit}"
            raise PdError("the unit was computed again while the query ran", place, "Run the query again")
        return self._layer.read(unit, [self._column.name])


def _binary(strings: Ragged) -> pa.Array:
    offsets, data = strings.offsets.astype(np.int32), np.ascontiguousarray(strings.data)
    return pa.Array.from_buffers(pa.binary(), len(strings), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _lists(vectors: npt.NDArray[Any]) -> pa.Array:
    offsets = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(vectors.astype(np.float32).ravel()))
