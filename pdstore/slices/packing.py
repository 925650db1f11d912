"""The files of a table that is sliced by a column: its vectors as they are, one chunk each, so that rows are ranges.

They are Zarr arrays like all others, except that they are not compressed: features are numbers without pattern, which
Zstandard makes about a tenth smaller, and a compressed chunk can only be read whole.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from pdstore.slices.index import INDEX, index_file
from pdstore.table import Rows

__all__ = ["CRC_BYTES", "chunk_file", "pack_slices"]

CRC_BYTES = 4
"""Zarr's crc32c, behind the values of a chunk."""


def pack_slices(rows: Rows, group: str) -> dict[str, bytes]:
    """The index of ``rows``, and the Zarr group of its vectors, as name inside the attempt -> content.

    Raises:
        ValueError: the rows do not rise by the column ``sliced_by`` of their table, or it has a ragged column.
    """
    files, metadata = {INDEX: index_file(rows)}, {}
    for column in rows.table.arrays:
        if column.layout != "vector":
            raise ValueError(f"{rows.table.name}.{column.name}: a table that is sliced has no ragged columns")
        array = np.ascontiguousarray(rows[column.name], np.dtype(column.dtype).newbyteorder("<"))
        metadata[column.name] = _metadata(array)
        files[f"{group}/{column.name}/zarr.json"] = _json(metadata[column.name])
        if array.size:
            data = array.tobytes()
            files[f"{group}/{chunk_file(column.name)}"] = data + struct.pack("<I", google_crc32c.value(data))
    consolidated = {"kind": "inline", "must_understand": False, "metadata": dict(sorted(metadata.items()))}
    values = {"attributes": {}, "zarr_format": 3, "consolidated_metadata": consolidated, "node_type": "group"}
    return {**files, f"{group}/zarr.json": _json(values)}


def chunk_file(column: str) -> str:
    """The file that holds all values of a vector column, inside the group."""
    return f"{column}/c/0/0"


def _metadata(array: npt.NDArray[Any]) -> dict[str, Any]:
    """What Zarr has in the ``zarr.json`` of an array."""
    codecs: list[dict[str, Any]] = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    return {
        "shape": list(array.shape),
        "data_type": array.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [max(1, n) for n in array.shape]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0 if array.dtype.kind == "f" else 0,
        "codecs": codecs,
        "attributes": {},
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, indent=2).encode()
