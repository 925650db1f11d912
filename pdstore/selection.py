"""Selections: rows chosen by SQL and frozen, so that every rank and every resumed run streams the same rows."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc as ipc

from pdstore import layout
from pdstore.errors import CorruptData, UsageError
from pdstore.records.digests import keep_digest, read_checked
from pdstore.store import Store

__all__ = ["Selection", "create_selection", "freeze", "open_selection", "read_selection"]

FIX = "Restore the file from a copy, or remove it with its .digest: then it is chosen anew, from what there is now"


@dataclass(frozen=True)
class Selection:
    """A frozen choice of images.

    Attributes:
        image_ids: (R,) int64, memory-mapped where the store is local.
        block_size: images per block, from which each row's block follows.
    """

    image_ids: npt.NDArray[np.int64]
    block_size: int

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def block_of_row(self) -> npt.NDArray[np.int64]:
        """(R,) int64: the block of each row."""
        return self.image_ids // self.block_size


def freeze(store: Store, name: str, query: Callable[[], pa.Table]) -> Selection:
    """The selection ``name``. If it does not exist yet, ``query`` is run and its column ``image_id`` frozen.

    Raises:
        UsageError: the result has no column ``image_id``.
    """
    path = layout.selection(name)
    if not store.files.exists(path) and not store.files.exists(layout.digest(path)):
        result = query()
        if "image_id" not in result.column_names:
            problem = f"expected a column image_id in the query, found {result.column_names}"
            raise UsageError(problem, f"selection {name}", "Add image_id to the query")
        chosen = pa.table({"image_id": result.column("image_id").cast(pa.int64()).combine_chunks()})
        sink = io.BytesIO()
        with ipc.new_file(sink, chosen.schema) as writer:
            writer.write_table(chosen)
        create_selection(store, name, sink.getvalue())
    return open_selection(store, name)


def open_selection(store: Store, name: str) -> Selection:
    """The selection ``name``.

    Raises:
        FileNotFoundError: it does not exist.
        CorruptData: its file is damaged, or gone.
    """
    column = read_selection(store, name).column("image_id")
    chunk = column.chunk(0) if column.num_chunks else pa.array([], pa.int64())
    return Selection(
        chunk.to_numpy(zero_copy_only=True) if len(chunk) else np.zeros(0, np.int64), store.info.block_size
    )


def create_selection(store: Store, name: str, data: bytes) -> None:
    """Write the Arrow file of a selection, unless it exists."""
    path = layout.selection(name)
    if store.files.create(path, data):
        keep_digest(store.files, path, io.BytesIO(data))


def read_selection(store: Store, name: str) -> pa.Table:
    """The rows of a selection, memory-mapped where the store is local. Cost: its file is read once, to be checked.

    Raises:
        FileNotFoundError: it does not exist.
        CorruptData: its file is damaged, or gone.
    """
    path = layout.selection(name)
    data = read_checked(store.files, path, FIX)
    try:
        source = pa.memory_map(store.files.full(path)) if store.files.is_local else pa.BufferReader(data)
        return ipc.open_file(source).read_all()
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise CorruptData(f"the selection cannot be read ({error!s})", store.files.full(path), FIX) from None
