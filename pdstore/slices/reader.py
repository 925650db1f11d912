"""Reading the vectors of a range of values from the units of a layer: its own bytes, and none beside them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pdstore.arrays.chunks import CRC_BYTES
from pdstore.commit import Manifest
from pdstore.files import Files
from pdstore.slices.index import INDEX, SliceIndex
from pdstore.slices.packing import chunk_file
from pdstore.table import Table

__all__ = ["Slices"]

UNITS_PER_READ = 256
"""Indexes, or slices, in one gathered read."""

T = TypeVar("T")


class SlicedLayer(Protocol):
    """What is needed of a :class:`pdstore.Layer`."""

    @property
    def table(self) -> Table: ...

    def manifest(self, unit: int) -> Manifest: ...

    def manifests(self, units: Iterable[int]) -> dict[int, Manifest]: ...


class _Unit(NamedTuple):
    """A unit whose index has been read, the file of its vectors, where they begin in it, and how long each is."""

    manifest: Manifest
    places: SliceIndex
    path: str
    start: int
    width: int


class Slices:
    """The vectors of one column of a layer whose table is ``sliced_by`` a column.

    The index of a unit is read at its first use and kept: 12 bytes per value that occurs in the unit (16 if the column
    is int64). After that, reading the slices of all values, one range after the other, reads every vector once.
    """

    def __init__(self, files: Files, layer: SlicedLayer, column: str) -> None:
        self._files, self._layer, self._column = files, layer, column
        self._dtype = next(np.dtype(c.dtype).newbyteorder("<") for c in layer.table.columns if c.name == column)
        self._units: dict[int, _Unit] = {}

    def open(self, units: Iterable[int]) -> None:
        """Read the indexes of these units that have not been read yet.

        Raises:
            InputMissing: a unit is not committed.
            CorruptData: an index is missing or damaged.
        """
        listed = list(units)
        self._layer.manifests(listed)  # together; one by one below, of what this has left out
        manifests = [self._layer.manifest(unit) for unit in listed]
        unread = [m for m in manifests if m.unit not in self._units or self._units[m.unit].manifest is not m]
        for some in _cut(unread, UNITS_PER_READ):
            paths = {f"{manifest.folder}/{INDEX}": manifest for manifest in some}
            try:
                contents = self._files.read_many(list(paths))
            except FileNotFoundError as error:
                raise some[0].corrupt(f"a committed file is missing: {error}") from None
            self._units.update({paths[path].unit: self._opened(paths[path], data) for path, data in contents.items()})

    def count(self, units: Sequence[int], low: int, high: int) -> npt.NDArray[np.int64]:
        """(high - low,) int64: how many rows of these units have each value from ``low`` to before ``high``."""
        self.open(units)
        counts = np.zeros(high - low, np.int64)
        for unit in units:
            places = self._units[unit].places
            first, last = places.span(low, high)
            counts[places.values[first:last] - low] += np.diff(places.starts[first : last + 1])
        return counts

    def row_bytes(self, units: Iterable[int]) -> int:
        """Bytes of one vector; 0 if these units have none."""
        return max((self._units[unit].width for unit in units), default=0) * self._dtype.itemsize

    def read(self, units: Sequence[int], low: int, high: int) -> dict[int, npt.NDArray[np.generic]]:
        """Value -> (N, D): the vectors of its rows, unit after unit, for the values from ``low`` to before ``high``.

        A value without rows is not there. The caller chooses the range by its size: see :meth:`count`.

        Raises:
            InputMissing: a unit is not committed.
            CorruptData: a file is missing or damaged.
        """
        self.open(units)
        spans = [(unit, *unit.places.span(low, high)) for unit in (self._units[number] for number in units)]
        found: dict[int, list[npt.NDArray[np.generic]]] = {}
        for some in _cut([span for span in spans if span[1] < span[2]], UNITS_PER_READ):
            try:
                contents = self._files.read_ranges([self._range(*span) for span in some])
            except FileNotFoundError as error:
                raise some[0][0].manifest.corrupt(f"a committed file is missing: {error}") from None
            for (unit, first, last), data in zip(some, contents, strict=True):
                for position, vectors in zip(range(first, last), self._split(unit, first, last, data), strict=True):
                    found.setdefault(int(unit.places.values[position]), []).append(vectors)
        return {value: np.concatenate(parts) for value, parts in found.items()}

    def _opened(self, manifest: Manifest, data: bytes) -> _Unit:
        """A unit with its index. How long its vectors are follows from the size of their only chunk."""
        entry = manifest.files.get(INDEX)
        problem = "the manifest does not name it" if entry is None else entry.problem(data)
        if problem:
            raise manifest.corrupt(f"{INDEX} is damaged: {problem}")
        try:
            index = SliceIndex.parse(data, self._column)
        except (pa.ArrowException, ValueError, KeyError) as error:
            raise manifest.corrupt(f"{INDEX} cannot be decoded: {error!s}") from error
        num_rows = int(index.starts[-1])
        chunk = next((name for name in manifest.files if name.endswith(f"/{chunk_file(self._column)}")), "")
        width, rest = 0, 0
        if num_rows and chunk:
            width, rest = divmod(manifest.files[chunk].size - CRC_BYTES, num_rows * self._dtype.itemsize)
        if rest or (num_rows and not width):
            raise manifest.corrupt(f"the vectors of {num_rows} rows are not there, or not of one length")
        return _Unit(manifest, index, *manifest.place(chunk), width)

    def _range(self, unit: _Unit, first: int, last: int) -> tuple[str, int, int]:
        stride = unit.width * self._dtype.itemsize
        start, stop = (unit.start + int(unit.places.starts[position]) * stride for position in (first, last))
        return unit.path, start, stop

    def _split(self, unit: _Unit, first: int, last: int, data: bytes) -> list[npt.NDArray[np.generic]]:
        starts = (unit.places.starts[first : last + 1] - unit.places.starts[first]).tolist()
        if len(data) != starts[-1] * unit.width * self._dtype.itemsize:
            raise unit.manifest.corrupt(f"{unit.path} is damaged: it is too short")
        vectors = np.frombuffer(data, self._dtype).reshape(-1, unit.width)
        parts = [vectors[start:stop] for start, stop in pairwise(starts)]
        if any(
            zlib.crc32(part.data) != expected
            for part, expected in zip(parts, unit.places.checksums[first:last], strict=True)
        ):
            raise unit.manifest.corrupt(f"{unit.path} is damaged: content differs from what was committed (CRC-32)")
        return parts


def _cut(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[first : first + size] for first in range(0, len(items), size)]
