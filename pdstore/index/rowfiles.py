"""The rows of many units in one Parquet file: sorted by unit, in row groups with statistics, written piece by piece."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pdstore.files import Files
from pdstore.index.indexfile import END_BYTES, RowFile

__all__ = ["UNIT", "GatheredRows", "write_rows"]

UNIT = "_unit"
"""The last column: the unit that a row is of."""

ROWS_PER_GROUP = 122_880
"""What DuckDB writes itself: one thread reads a row group."""


def write_rows(files: Files, path: str, units: Iterable[tuple[int, pa.Table]]) -> RowFile | None:
    """Write the rows of these units, of one schema, in this order. None, and no file, if there are none.

    Memory: a row group, and the rows of one unit.

    Raises:
        pa.ArrowException: a unit has another schema than the first.
        StorageFailure: no space, or no permission.
    """
    groups = _row_groups(units)
    first = next(groups, None)
    if first is None:
        return None
    with files.writing(path) as file:
        hashed = _Hashed(file)
        with pq.ParquetWriter(hashed, first.schema, compression="zstd") as writer:
            writer.write_table(first, ROWS_PER_GROUP)
            for group in groups:
                writer.write_table(group, ROWS_PER_GROUP)
    return RowFile(path, hashed.size, hashed.sha256.hexdigest(), hashlib.sha256(hashed.end).hexdigest())


class GatheredRows:
    """A file of :func:`write_rows`, read unit by unit. Memory: one row group, if units are asked for by rising number.

    Args:
        units: of the file, in order. counts: how many rows each has.
    """

    def __init__(self, file: IO[bytes], units: Sequence[int], counts: Sequence[int]) -> None:
        # No threads that read ahead: see pdstore.blockfile.parquet_table.
        self._file = pq.ParquetFile(file, pre_buffer=False)
        starts = [0, *accumulate(counts)]
        self._range = {unit: (starts[i], starts[i + 1]) for i, unit in enumerate(units)}
        sizes = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        self._ends = list(accumulate(sizes))
        self._names = [name for name in self._file.schema_arrow.names if name != UNIT]
        self._group: tuple[int, pa.Table] = (-1, None)

    def of(self, unit: int) -> pa.Table:
        """The rows of a unit, without the column of the unit."""
        first, last = self._range[unit]
        pieces = []
        for number in range(bisect_right(self._ends, first), len(self._ends)):
            if first >= last or (number and self._ends[number - 1] >= last):
                break
            start = self._ends[number - 1] if number else 0
            pieces.append(
                self._read(number).slice(max(0, first - start), min(last, self._ends[number]) - max(first, start))
            )
        return pa.concat_tables(pieces) if pieces else self._file.schema_arrow.empty_table().select(self._names)

    def _read(self, number: int) -> pa.Table:
        if self._group[0] != number:
            self._group = (number, self._file.read_row_group(number, self._names, use_threads=False))
        return self._group[1]


class _Hashed:
    """A file that is written to, with digests of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.sha256, self.size, self.end = file, hashlib.sha256(), 0, b""
        self.closed = False

    def write(self, data: bytes) -> int:
        piece = bytes(data)
        self._file.write(piece)
        self.sha256.update(piece)
        self.size += len(piece)
        self.end = (self.end + piece)[-END_BYTES:]
        return len(piece)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True


def _row_groups(units: Iterable[tuple[int, pa.Table]]) -> Iterator[pa.Table]:
    """The rows with their units, cut into row groups."""
    held: list[pa.Table] = []
    count = 0
    for unit, rows in units:
        numbered = rows.append_column(UNIT, pa.array(np.full(len(rows), unit, np.int32)))
        while count + len(numbered) >= ROWS_PER_GROUP:
            fitting = ROWS_PER_GROUP - count
            yield pa.concat_tables([*held, numbered.slice(0, fitting)])
            held, count, numbered = [], 0, numbered.slice(fitting)
        if len(numbered):
            held.append(numbered)
            count += len(numbered)
    if held:
        yield pa.concat_tables(held)
