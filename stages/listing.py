"""The listing: which image is where. It is made once when a folder is scanned, and only ever grows.

Images are put in a seeded random order, and image i of a listing lies in block i // block_size, so that a block is a
fair sample of the whole. Images that are added later open new blocks.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pdstore import Store, layout
from pdstore.blockfile import parquet_bytes, parquet_table
from pdstore.errors import UsageError
from schemas.tables import CLASSES

__all__ = ["ImageClass", "Listed", "Listing"]


@dataclass(frozen=True)
class ImageClass:
    """A class of the vocabulary."""

    class_id: int
    wnid: str
    name: str


@dataclass(frozen=True)
class Listed:
    """One image of the listing; ``wnid`` is a WordNet code or a folder's name."""

    image_id: int
    key: str
    split: str
    wnid: str


class Listing:
    """The listings of a store, block by block.

    Raises:
        UsageError: the store has no listing yet.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sizes: list[int] = []
        for number in range(len(store.files.names(layout.LISTINGS))):
            self._sizes.append(self._open(number).metadata.num_rows)

    @property
    def blocks(self) -> int:
        size = self._store.info.block_size
        return sum(-(-rows // size) for rows in self._sizes)

    @property
    def images(self) -> int:
        return sum(self._sizes)

    def read(self, block: int) -> list[Listed]:
        """The images of a block, in order."""
        size = self._store.info.block_size
        first = 0
        for number, rows in enumerate(self._sizes):
            count = -(-rows // size)
            if block < first + count:
                frame = self._open(number).read_row_group(block - first, use_threads=False)
                return [Listed(block * size + i, **row) for i, row in enumerate(frame.to_pylist())]
            first += count
        raise UsageError(f"a block from 0 to {self.blocks - 1}", str(block))

    def keys(self) -> set[str]:
        return {
            key
            for n in range(len(self._sizes))
            for key in self._open(n).read(["key"], use_threads=False).column("key").to_pylist()
        }

    def classes(self) -> list[ImageClass]:
        frame = parquet_table(self._store.files.read(layout.CLASSES))
        return [ImageClass(*row.values()) for row in frame.to_pylist()]

    def append(self, images: list[tuple[str, str, str]]) -> None:
        """Add images; they open new blocks."""
        frame = pa.Table.from_pylist([dict(zip(("key", "split", "wnid"), image, strict=True)) for image in images])
        sink = io.BytesIO()
        pq.write_table(frame, sink, compression="zstd", row_group_size=self._store.info.block_size)
        if not self._store.files.create(layout.listing(len(self._sizes)), sink.getvalue()):
            fix = "Run the command again"
            raise UsageError("to be the only one who adds images", "another process that just did", fix=fix)
        self._sizes.append(len(images))

    def write_classes(self, classes: list[ImageClass]) -> None:
        columns = [[c.class_id for c in classes], [c.wnid for c in classes], [c.name for c in classes]]
        arrays = [pa.array(values, c.arrow) for values, c in zip(columns, CLASSES.scalars, strict=True)]
        self._store.files.write(
            layout.CLASSES, parquet_bytes(pa.Table.from_arrays(arrays, schema=CLASSES.arrow_schema))
        )

    def _open(self, number: int) -> pq.ParquetFile:
        path = layout.listing(number)
        files = self._store.files
        # Locally only the row group that is asked for is read; a remote listing is fetched whole.
        return pq.ParquetFile(files.full(path) if files.is_local else io.BytesIO(files.read(path)))
