"""The files of a table that is sliced by a column: its vectors as they are, one chunk each, so that rows are ranges.

They are Zarr arrays like all others, except that they are not compressed: features are numbers without pattern, which
Zstandard makes about a tenth smaller, and a compressed chunk can only be read whole.
"""

from __future__ import annotations

import numpy as np

from pdstore.arrays.chunks import encode_whole, group_files
from pdstore.slices.index import INDEX, index_file
from pdstore.table import Rows

__all__ = ["chunk_file", "index_and_group"]


def index_and_group(rows: Rows) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The index of ``rows``, as name inside the attempt -> content, and the group of its vectors, as name inside it.

    Raises:
        ValueError: the rows do not rise by the column ``sliced_by`` of their table, or it has a ragged column.
    """
    for column in rows.table.arrays:
        if column.layout != "vector":
            raise ValueError(f"{rows.table.name}.{column.name}: a table that is sliced has no ragged columns")
    vectors = (encode_whole(column.name, np.asarray(rows[column.name])) for column in rows.table.arrays)
    return {INDEX: index_file(rows)}, group_files(vectors)


def chunk_file(column: str) -> str:
    """The file that holds all values of a vector column, inside the group."""
    return f"{column}/c/0/0"
