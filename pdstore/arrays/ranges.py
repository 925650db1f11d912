"""Some rows of stored arrays, by ranges of their files: the chunks that hold other rows are not read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore.arrays.chunks import ArrayInfo
from pdstore.files import Files

__all__ = ["RangeReader", "Spans"]

Spans = Sequence[tuple[int, int]]
"""(start, stop) of rows, in rising order."""
Array = npt.NDArray[Any]


class RangeReader:
    """Reads rows of the arrays of one group. The indexes of shards are read once and kept.

    Args:
        place: name of a file inside the group -> path of the object that holds it, and where it begins there.
        sizes: name of a file inside the group -> its size in bytes.
        sha256: of these files; those that are read whole are compared with it.
    """

    def __init__(
        self,
        files: Files,
        place: Callable[[str], tuple[str, int]],
        sizes: Mapping[str, int],
        sha256: Mapping[str, str] | None = None,
    ) -> None:
        self._files, self._place, self._sizes, self._sha256 = files, place, sizes, sha256 or {}
        self._indexes: dict[str, list[tuple[int, int]]] = {}

    def read(self, wanted: Sequence[tuple[ArrayInfo, Spans]]) -> list[Array]:
        """The rows of each array in its spans, one span after the other.

        Cost: two gathered reads, one of the indexes of shards and one of chunks, each chunk once.

        Raises:
            FileNotFoundError: a file does not exist.
            KeyError: a file is not one of the group's.
            ValueError, RuntimeError: what was read is damaged.
        """
        needed = [(info, number) for info, spans in wanted for number in _chunks_of(info, spans)]
        self._read_indexes({info.piece(number).file: info for info, number in needed if info.shard})
        data = self._files.read_ranges([self._span(info, number) for info, number in needed])
        for (info, number), part in zip(needed, data, strict=True):
            if not info.shard:
                self._check(info.piece(number).file, part)
        chunks = {(info.name, number): info.decode(part) for (info, number), part in zip(needed, data, strict=True)}
        return [_joined(info, spans, chunks) for info, spans in wanted]

    def _read_indexes(self, shards: Mapping[str, ArrayInfo]) -> None:
        missing = [(file, info, self._sizes[file]) for file, info in shards.items() if file not in self._indexes]
        tails = [self._inside(file, max(0, size - info.index_bytes), size) for file, info, size in missing]
        for (file, info, _), index in zip(missing, self._files.read_ranges(tails), strict=True):
            self._indexes[file] = info.ranges(index)

    def _check(self, file: str, data: bytes) -> None:
        # The crc32c of a chunk would also hold in a file that belongs to another unit.
        if self._sha256.get(file) not in {None, hashlib.sha256(data).hexdigest()}:
            raise ValueError(f"{file} differs from what was committed (sha256)")

    def _span(self, info: ArrayInfo, number: int) -> tuple[str, int, int]:
        """Path of the object that holds a chunk, and where the chunk starts and ends in it."""
        piece = info.piece(number)
        start, end = self._indexes[piece.file][piece.entry] if info.shard else (0, self._sizes[piece.file])
        return self._inside(piece.file, start, end)

    def _inside(self, file: str, start: int, end: int) -> tuple[str, int, int]:
        path, first = self._place(file)
        return path, first + start, first + end


def _chunks_of(info: ArrayInfo, spans: Spans) -> list[int]:
    """Numbers of the chunks that hold the rows of the spans, in rising order."""
    if 0 in info.shape:
        return []
    ranges = (range(start // info.chunk, (stop - 1) // info.chunk + 1) for start, stop in spans if stop > start)
    return list(dict.fromkeys(number for numbers in ranges for number in numbers))


def _joined(info: ArrayInfo, spans: Spans, chunks: Mapping[tuple[str, int], Array]) -> Array:
    parts = [
        chunks[info.name, number][max(0, start - number * info.chunk) : stop - number * info.chunk]
        for start, stop in spans
        for number in _chunks_of(info, [(start, stop)])
    ]
    return np.concatenate(parts) if parts else np.zeros((sum(b - a for a, b in spans), *info.shape[1:]), info.dtype)
