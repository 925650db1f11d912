"""The listing of a store says which image is where. It is made when a folder is scanned, and it only ever grows.

Images are put in a seeded random order, and image i of a listing lies in block i // block_size, so a block is a fair
sample of the whole. Images that are added later open new blocks.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pdstore import Store, layout
from pdstore.blockfile import parquet_bytes, parquet_table
from pdstore.errors import CorruptData, UsageError
from pdstore.reading.unit import ARROW_DAMAGE
from pdstore.records.digests import FileDigest, digest_of, keep_digest, open_checked, read_checked, write_with_digest
from schemas.tables import CLASSES

__all__ = ["ImageClass", "Listed", "Listing"]

_SCHEMA = pa.schema([(name, pa.string()) for name in ("key", "split", "wnid")])


@dataclass(frozen=True)
class ImageClass:
    """A class of the vocabulary."""

    class_id: int
    wnid: str
    name: str


@dataclass(frozen=True)
class Listed:
    """One image of the listing; ``wnid`` is a WordNet code or the name of a folder."""

    image_id: int
    key: str
    split: str
    wnid: str


class Listing:
    """The listings of a store, block by block. Their footers are kept in memory; no file stays open.

    What is read of them is compared with their digests.

    Raises:
        CorruptData: a listing is damaged, or missing while others are there.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._footers: list[pq.FileMetaData] = []
        self._digests: list[FileDigest | None] = []
        for number in range(_count(store)):
            self._keep_footer(number)

    @property
    def blocks(self) -> int:
        return sum(footer.num_row_groups for footer in self._footers)

    @property
    def images(self) -> int:
        return sum(footer.num_rows for footer in self._footers)

    def block_sizes(self) -> list[int]:
        """The number of images of each block, from the footers; nothing is read."""
        return [
            footer.row_group(number).num_rows for footer in self._footers for number in range(footer.num_row_groups)
        ]

    def read(self, block: int) -> list[Listed]:
        """The images of a block, in order. Only the row group of the block is fetched, even from a listing of millions.

        Raises:
            UsageError: if there is no such block.
        """
        size = self._store.info.block_size
        first = 0
        for number, footer in enumerate(self._footers):
            if block < first + footer.num_row_groups:
                with self._open(number) as file:
                    frame = file.read_row_group(block - first, use_threads=False)
                return [Listed(block * size + i, **row) for i, row in enumerate(frame.to_pylist())]
            first += footer.num_row_groups
        raise UsageError(f"there is no block {block}: the blocks are 0 to {self.blocks - 1}")

    def all(self) -> Iterator[Listed]:
        """All images, block by block."""
        return (image for block in range(self.blocks) for image in self.read(block))

    def keys(self) -> set[str]:
        keys: set[str] = set()
        for number in range(len(self._footers)):
            with self._open(number) as file:
                keys.update(file.read(["key"], use_threads=False).column("key").to_pylist())
        return keys

    def classes(self) -> list[ImageClass]:
        """The vocabulary. Raises CorruptData if its file is damaged."""
        with _decoding(self._store, layout.CLASSES):
            frame = parquet_table(read_checked(self._store.files, layout.CLASSES))
            return [ImageClass(*row.values()) for row in frame.to_pylist()]

    def append(self, images: list[tuple[str, str, str]]) -> None:
        """Add images (key, split, wnid), which open new blocks. Each block is a row group, so it can be read alone.

        Raises:
            UsageError: if another process has added images in the meantime.
        """
        sink, size = io.BytesIO(), self._store.info.block_size
        with pq.ParquetWriter(sink, _SCHEMA, compression="zstd") as writer:
            for first in range(0, len(images), size):
                # Block by block, because one table of millions of images would double the memory needed.
                columns = zip(*images[first : first + size], strict=True)
                writer.write_table(pa.table([pa.array(values, pa.string()) for values in columns], _SCHEMA), size)
        number = len(self._footers)
        if not self._store.files.create(layout.listing(number), sink.getvalue()):
            raise UsageError("another process has just added images to the store", fix="Run the command again")
        sink.seek(0)
        keep_digest(self._store.files, layout.listing(number), sink)
        self._keep_footer(number)

    def write_classes(self, classes: list[ImageClass]) -> None:
        columns = [[c.class_id for c in classes], [c.wnid for c in classes], [c.name for c in classes]]
        arrays = [pa.array(values, c.arrow) for values, c in zip(columns, CLASSES.scalars, strict=True)]
        write_with_digest(
            self._store.files,
            layout.CLASSES,
            parquet_bytes(pa.Table.from_arrays(arrays, schema=CLASSES.arrow_schema)),
        )

    def _keep_footer(self, number: int) -> None:
        files, path = self._store.files, layout.listing(number)
        self._digests.append(digest_of(files, path))
        with _decoding(self._store, path), open_checked(files, path, self._digests[number]) as file:
            self._footers.append(pq.read_metadata(file))

    @contextlib.contextmanager
    def _open(self, number: int) -> Iterator[pq.ParquetFile]:
        files, path = self._store.files, layout.listing(number)
        with _decoding(self._store, path), open_checked(files, path, self._digests[number]) as file:
            # No threads that read ahead: see pdstore.blockfile.parquet_table.
            yield pq.ParquetFile(file, metadata=self._footers[number], pre_buffer=False)


def _count(store: Store) -> int:
    """How many listings there are, those included of which only the digest is left."""
    stems = {name.partition(".")[0] for name in store.files.names(layout.LISTINGS)}
    return max((int(stem) + 1 for stem in stems if stem.isdecimal()), default=0)


@contextlib.contextmanager
def _decoding(store: Store, path: str) -> Iterator[None]:
    """What reading a file raises that is damaged, or gone, becomes CorruptData."""
    try:
        yield
    except ARROW_DAMAGE as error:
        problem = "the file is missing" if isinstance(error, FileNotFoundError) else f"it cannot be read ({error!s})"
        raise CorruptData(problem, store.files.full(path), "Restore the file from a copy") from None
