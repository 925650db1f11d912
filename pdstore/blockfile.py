"""Rows <-> the files of one attempt: ``rows.parquet`` for scalars, ``data.zarr`` for masks and vectors.

Everything is built in memory, so that a block is written with known sizes and checksums, and read with one
gathered request whatever the file system.

What encodes and decodes arrays is imported by the functions that need it: whoever reads manifests or scalars does not.
Zarr itself is only needed for arrays that are stored in another way than :mod:`pdstore.arrays.chunks` stores them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pdstore.arrays.archive import GROUP
from pdstore.arrays.claims import check_claim
from pdstore.ragged import Ragged
from pdstore.table import Column, Rows, Table

__all__ = [
    "ERRORS",
    "GROUP",
    "ROWS",
    "arrays_of",
    "files_of_columns",
    "is_chunk",
    "pack",
    "parquet_bytes",
    "parquet_table",
    "unpack",
]

ROWS = "rows.parquet"
ERRORS = "errors.parquet"


def pack(rows: Rows) -> dict[str, bytes]:
    """The files of ``rows``, as name inside the attempt -> content. Equal rows give equal bytes.

    Raises:
        ValueError: the table is sliced by a column, and the rows do not rise by it.
    """
    files, in_group = {ROWS: parquet_bytes(rows.to_arrow())}, dict[str, bytes]()
    if rows.table.sliced_by:
        from pdstore.slices.packing import index_and_group

        index, in_group = index_and_group(rows)
        files |= index
    elif arrays := _arrays(rows):
        from pdstore.arrays import chunks

        in_group = chunks.group_files(chunks.encode(name, array) for name, array in arrays.items())
    files |= {f"{GROUP}/{name}": data for name, data in in_group.items()}
    return dict(sorted(files.items()))


def files_of_columns(table: Table, names: Iterable[str], available: Iterable[str]) -> list[str]:
    """Those of the ``available`` files that hold the columns ``names``."""
    wanted = [c for c in table.columns if c.name in set(names)]
    arrays = [n for c in wanted for n in arrays_of(c)]
    # The metadata of the arrays stand in those of the group, too.
    prefixes = tuple(f"{GROUP}/{name}/c/" for name in arrays)
    is_wanted = {ROWS} if any(c.layout == "scalar" for c in wanted) or not wanted else set()
    if arrays:
        is_wanted.add(f"{GROUP}/zarr.json")
    return [file for file in available if file in is_wanted or (prefixes and file.startswith(prefixes))]


def is_chunk(name: str) -> bool:
    """True for a file of array values, whose crc32c Zarr checks as it decodes the file."""
    return name.startswith(f"{GROUP}/") and not name.endswith("zarr.json")


def unpack(table: Table, names: Iterable[str], files: Mapping[str, bytes]) -> Rows:
    """The columns ``names`` from the files that :func:`files_of_columns` named."""
    wanted = [c for c in table.columns if c.name in set(names)]
    columns: dict[str, Any] = {}
    scalars = [c.name for c in wanted if c.layout == "scalar"]
    if scalars:
        frame = parquet_table(files[ROWS], scalars)
        columns.update({name: frame.column(name).to_numpy() for name in scalars})
    if len(scalars) < len(wanted):
        stored = {name[len(GROUP) + 1 :]: data for name, data in files.items() if name.startswith(GROUP)}
        arrays = _unpack_arrays(stored, [n for c in wanted for n in arrays_of(c)])
        for c in wanted:
            if c.layout == "vector":
                columns[c.name] = arrays[c.name]
            elif c.layout == "ragged":
                columns[c.name] = Ragged(arrays[c.name], arrays[f"{c.name}_offsets"])
    return Rows(table, columns, partial=True)


def parquet_bytes(frame: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(frame, sink, compression="zstd")
    return sink.getvalue()


def parquet_table(data: bytes, columns: list[str] | None = None) -> pa.Table:
    # Arrow's threads stay off, those that read ahead included: a short program that ends while they start is aborted,
    # and one block is too small to gain from them.
    file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
    cells = file.metadata.num_rows * file.metadata.num_columns
    declared = sum(file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups))
    check_claim("the table", max(8 * cells, declared), len(data))
    return file.read(columns, use_threads=False)


def _arrays(rows: Rows) -> dict[str, np.ndarray[Any, Any]]:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for column in rows.table.arrays:
        values = rows.columns[column.name]
        if isinstance(values, Ragged):
            arrays[column.name], arrays[f"{column.name}_offsets"] = values.data, values.offsets
        else:
            arrays[column.name] = values
    return arrays


def _unpack_arrays(files: Mapping[str, bytes], names: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays ``names`` of a group, from name inside the group -> content."""
    from pdstore.arrays import chunks

    stored = chunks.stored_arrays(files["zarr.json"], names)
    if stored is None:
        return _read_by_zarr(files, names)
    return {name: chunks.read_array(info, files) for name, info in stored.items()}


def _read_by_zarr(files: Mapping[str, bytes], names: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays as Zarr reads them, whatever their codecs and chunks."""
    import asyncio

    import zarr
    from zarr.api.asynchronous import open_group
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync
    from zarr.storage import MemoryStore

    buffer = default_buffer_prototype().buffer
    memory: dict[str, Any] = {name: buffer.from_bytes(data) for name, data in files.items()}

    async def read_all() -> list[np.ndarray[Any, Any] | BaseException]:
        group = await open_group(MemoryStore(memory), mode="r", zarr_format=3, use_consolidated=True)

        async def read_array(name: str) -> np.ndarray[Any, Any]:
            array = await group.getitem(name)
            assert isinstance(array, zarr.AsyncArray)
            # A file holds a chunk, or a shard of several.
            in_file = array.shards or array.chunks
            own = [len(data) for file, data in files.items() if file.startswith(f"{name}/")]
            check_claim(name, math.prod(array.shape) * array.dtype.itemsize, sum(own))
            check_claim(name, math.prod(in_file) * array.dtype.itemsize, sum(own))
            if math.prod(-(-n // size) for n, size in zip(array.shape, in_file, strict=True)) > len(own):
                raise KeyError(f"fewer files than {name} has chunks")
            for chunk in np.ndindex(*(-(-n // size) for n, size in zip(array.shape, in_file, strict=True))):
                # Zarr would read a chunk that is missing as the fill value.
                if f"{name}/{array.metadata.encode_chunk_key(chunk)}" not in memory:
                    raise KeyError(f"no chunk {chunk} of {name}")
            return np.asarray(await array.getitem(...))

        # Every read is awaited, so that a damaged array leaves no unfinished read on the event loop.
        return await asyncio.gather(*map(read_array, names), return_exceptions=True)

    # One call into Zarr's event loop for all arrays: each call costs as much as decoding a small array.
    try:
        results = sync(read_all())
    except (AttributeError, TypeError, LookupError, ArithmeticError, AssertionError) as error:
        raise ValueError(f"the arrays' metadata are not those of Zarr ({error!r})") from error
    for result in results:
        if isinstance(result, AttributeError | TypeError | LookupError | ArithmeticError | AssertionError):
            raise ValueError(f"the arrays' metadata are not those of Zarr ({result!r})") from result
        if isinstance(result, BaseException):
            raise result
    return {name: array for name, array in zip(names, results, strict=True) if not isinstance(array, BaseException)}


def arrays_of(column: Column) -> tuple[str, ...]:
    """Names of the Zarr arrays that hold a column."""
    by_layout = {"scalar": (), "vector": (column.name,), "ragged": (column.name, f"{column.name}_offsets")}
    return by_layout[column.layout]
