"""The index of a unit whose rows rise by one integer column: where the rows of each value begin, with checksums.

It is the file ``slices.parquet`` of an attempt, one row per value: ``value``, ``rows`` (how many rows have it) and, per
vector column, ``<column>_crc32``, the CRC-32 of the bytes of these rows. Whoever reads a few rows cannot check the
checksum of the whole file, so each slice has its own.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pdstore.table import Rows

__all__ = ["INDEX", "SliceIndex", "index_file"]

INDEX = "slices.parquet"


@dataclass(frozen=True, eq=False)
class SliceIndex:
    """Where the rows of each of V values are in a unit.

    Attributes:
        values: (V,) of the column's type, rising.
        starts: (V + 1,) int32: the rows of value i are ``starts[i]`` to before ``starts[i + 1]``.
        checksums: (V,) uint32, of the rows of one vector column.
    """

    values: npt.NDArray[np.signedinteger]
    starts: npt.NDArray[np.int32]
    checksums: npt.NDArray[np.uint32]

    @classmethod
    def parse(cls, data: bytes, column: str) -> SliceIndex:
        """The index for a vector column. Raises what Arrow raises if the file is no such index."""
        frame = pq.ParquetFile(io.BytesIO(data), pre_buffer=False).read(use_threads=False)
        values, rows = (frame.column(name).to_numpy() for name in ("value", "rows"))
        starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int32)
        return cls(values, starts, frame.column(f"{column}_crc32").to_numpy())

    def span(self, low: int, high: int) -> tuple[int, int]:
        """Positions (first, after the last) of the values from ``low`` to before ``high``."""
        first, last = np.searchsorted(self.values, [low, high]).tolist()
        return first, last


def index_file(rows: Rows) -> bytes:
    """The index of ``rows``, as a Parquet file. Cost: one pass over the vectors.

    Raises:
        ValueError: the rows do not rise by the column ``sliced_by`` of their table.
    """
    name = rows.table.sliced_by
    arrow = next(column.arrow for column in rows.table.columns if column.name == name)
    keys = rows[name]
    if np.any(keys[1:] < keys[:-1]):
        raise ValueError(f"rows of {rows.table.name} must rise by {name}: sort them with .sorted({name!r})")
    values, starts = np.unique(keys, return_index=True)
    bounds = [*starts.tolist(), len(rows)]
    columns = {"value": pa.array(values, arrow), "rows": pa.array(np.diff(bounds), pa.int32())}
    for column in rows.table.columns:
        if column.layout == "vector":
            data = np.ascontiguousarray(rows[column.name])
            sums = [zlib.crc32(data[start:stop].data) for start, stop in pairwise(bounds)]
            columns[f"{column.name}_crc32"] = pa.array(sums, pa.uint32())
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()
