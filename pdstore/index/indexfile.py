"""One file of an index: an Arrow stream of entries, a header in the metadata of its schema, and a digest at its end."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc

from pdstore import layout
from pdstore.files import Files

__all__ = ["END_BYTES", "IndexFile", "RowFile"]

FORMAT = 1
END_BYTES = 1 << 16
"""Bytes at the end of a file of rows that are compared before SQL reads it; Parquet's own index lies there."""

_HEADER = b"pd"
_DIGEST_BYTES = 64


@dataclass(frozen=True)
class RowFile:
    """The rows of all units of an index file, in one Parquet file.

    Attributes:
        path: relative to the store.
        sha256: of the whole file. end: sha256 of its last :data:`END_BYTES`.
    """

    path: str
    size: int
    sha256: str
    end: str

    def problem(self, files: Files) -> str:
        """How the file differs from what was written, by its size and its end; empty if it does not."""
        try:
            size, end = files.tail(self.path, END_BYTES)
        except FileNotFoundError:
            return "missing"
        if size != self.size:
            return f"{size} bytes instead of {self.size}"
        return "" if hashlib.sha256(end).hexdigest() == self.end else "its end differs from what was written (sha256)"

    def problem_anywhere(self, files: Files) -> str:
        """The same from every byte of the file. Cost: reads all of it, piece by piece."""
        found = hashlib.sha256()
        if problem := self.problem(files):
            return problem
        with files.open(self.path) as file:
            while piece := file.read(1 << 20):
                found.update(piece)
        return "" if found.hexdigest() == self.sha256 else "content differs from what was written (sha256)"


@dataclass(frozen=True)
class IndexFile:
    """The entries of some units of one layer, by rising unit.

    Attributes:
        number: a file with a higher number counts where two hold the same unit.
        table: see :func:`pdstore.index.entries.entry_table`.
        rows, errors: the rows of all its units, and their rows of ``errors``; None if there are none.
    """

    node: str
    fingerprint: str
    number: int
    table: pa.Table
    rows: RowFile | None = None
    errors: RowFile | None = None

    @property
    def path(self) -> str:
        return layout.index_file(self.node, self.fingerprint, self.number)

    @property
    def row_files(self) -> list[RowFile]:
        return [file for file in (self.rows, self.errors) if file is not None]

    @cached_property
    def units(self) -> frozenset[int]:
        return frozenset(self.table.column("unit").to_pylist())

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of its attempts."""
        return frozenset(self.table.column("name").to_pylist())

    def to_bytes(self) -> bytes:
        header = {
            "format": FORMAT,
            "node": self.node,
            "layer": self.fingerprint,
            "number": self.number,
            "rows": self.rows and asdict(self.rows),
            "errors": self.errors and asdict(self.errors),
        }
        table = self.table.replace_schema_metadata({_HEADER: json.dumps(header, sort_keys=True).encode()})
        sink = io.BytesIO()
        options = ipc.IpcWriteOptions(compression="zstd", use_threads=False)
        with ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        # Readers of Arrow stop at the end of the stream.
        return sink.getvalue() + hashlib.sha256(sink.getvalue()).hexdigest().encode()

    @classmethod
    def from_bytes(cls, data: bytes, node: str, fingerprint: str, number: int) -> IndexFile:
        """The file of this layer with this number.

        Raises:
            ValueError: it was changed since it was written, is none, or is that of another layer.
        """
        content = memoryview(data)[:-_DIGEST_BYTES]
        if hashlib.sha256(content).hexdigest().encode() != data[-_DIGEST_BYTES:]:
            raise ValueError("its digest differs from its content")
        try:
            options = ipc.IpcReadOptions(use_threads=False)
            table = ipc.open_stream(pa.py_buffer(content), options=options).read_all()
            table.select(["unit", "name"]).validate(full=True)
            header = json.loads(table.schema.metadata[_HEADER])
            if header["format"] != FORMAT:
                raise ValueError(f"expected format {FORMAT}, found format {header['format']}")
            if (header["node"], header["layer"], header["number"]) != (node, fingerprint, number):
                raise ValueError(f"it is number {header['number']} of {header['node']}, layer {header['layer']}")
            rows, errors = _row_file(header["rows"]), _row_file(header["errors"])
        except (pa.ArrowException, OSError, KeyError, TypeError, AttributeError, RecursionError) as error:
            # Nothing is read from a disk here: Arrow has its OSError for streams that are cut off or damaged.
            raise ValueError(f"it is no index file ({error!r})") from None
        return cls(node, fingerprint, number, table.replace_schema_metadata(None), rows, errors)


def _row_file(values: dict[str, Any] | None) -> RowFile | None:
    return None if values is None else RowFile(**values)
