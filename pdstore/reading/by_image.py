"""Rows of single images, without the masks and vectors of the other images of their unit.

The scalars of a unit are a small file, which is read whole. They say which rows are an image's; of the arrays, only the
chunks that hold these rows are read, by ranges of files.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore.arrays.archive import GROUP
from pdstore.arrays.chunks import ArrayInfo, stored_arrays
from pdstore.arrays.ranges import RangeReader
from pdstore.blockfile import ROWS, arrays_of, parquet_table
from pdstore.commit import Manifest
from pdstore.files import Files
from pdstore.ragged import Ragged
from pdstore.reading.unit import ARROW_DAMAGE, decoding, read_files, read_unit
from pdstore.table import Rows, Table, Values

__all__ = ["ImageReader"]

KEPT_ROWS = 2_000_000
"""Rows of the units whose scalars and offsets are kept in memory; at least one unit's."""
_METADATA = f"{GROUP}/zarr.json"

Ints = npt.NDArray[np.int64]


class ImageReader:
    """Reads the rows of images. Keeps the scalars and offsets of the units that it read last; threads may share it."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._units: OrderedDict[str, _Unit] = OrderedDict()
        self._lock = Lock()

    def read(self, manifest: Manifest, table: Table, names: Sequence[str], image_ids: Iterable[int]) -> Rows:
        """The columns ``names`` of the images' rows, in the order of the unit. Raises CorruptData."""
        unit = self._unit(manifest, table)
        picked = unit.rows_of(np.fromiter(image_ids, np.int64))
        wanted = [c for c in table.columns if c.name in set(names)]
        stored = unit.arrays([array for c in wanted for array in arrays_of(c)])
        if stored is None:
            return read_unit(self._files, manifest, table, names).take(picked)
        columns: dict[str, Values] = {c.name: unit.scalar(c.name)[picked] for c in wanted if c.layout == "scalar"}
        breaks = np.flatnonzero(np.diff(picked) != 1)
        firsts, lasts = np.append(picked[:1], picked[breaks + 1]), np.append(picked[breaks], picked[-1:])
        wanted = [c for c in wanted if c.layout != "scalar"]
        ragged = [c.name for c in wanted if c.layout == "ragged"]
        ends = {name: unit.offsets(stored[f"{name}_offsets"], stored[name].shape[0]) for name in ragged}
        # Strings lie where their offsets say; a vector is a row of its array.
        bounds = [
            (ends[c.name][firsts], ends[c.name][lasts + 1]) if c.layout == "ragged" else (firsts, lasts + 1)
            for c in wanted
        ]
        spans = [list(zip(starts.tolist(), stops.tolist(), strict=True)) for starts, stops in bounds]
        with decoding(manifest):
            found = unit.reader.read([(stored[c.name], of) for c, of in zip(wanted, spans, strict=True)])
            for c, values in zip(wanted, found, strict=True):
                columns[c.name] = _strings(values, ends[c.name], picked) if c.layout == "ragged" else values
            return Rows(table, columns, partial=True)

    def _unit(self, manifest: Manifest, table: Table) -> _Unit:
        with self._lock:
            if manifest.attempt in self._units:
                self._units.move_to_end(manifest.attempt)
                return self._units[manifest.attempt]
        unit = _Unit(self._files, manifest, bool(table.arrays))
        with self._lock:
            self._units[manifest.attempt] = unit
            while len(self._units) > 1 and sum(len(kept) for kept in self._units.values()) > KEPT_ROWS:
                self._units.popitem(last=False)
        return unit


class _Unit:
    """The scalars of a unit, decoded column by column when they are needed, and how its arrays are stored."""

    def __init__(self, files: Files, manifest: Manifest, has_arrays: bool) -> None:
        contents = read_files(files, manifest, [ROWS, _METADATA] if has_arrays else [ROWS])
        self._manifest, self._frame, self._group = manifest, contents[ROWS], contents.get(_METADATA, b"")
        self._scalars: dict[str, npt.NDArray[Any]] = {}
        self._offsets: dict[str, npt.NDArray[np.uint64]] = {}
        self._arrays: dict[tuple[str, ...], dict[str, ArrayInfo] | None] = {(): {}}
        inside = len(GROUP) + 1
        entries = {name[inside:]: entry for name, entry in manifest.files.items() if name.startswith(f"{GROUP}/")}
        sizes, sums = ({n: getattr(e, key) for n, e in entries.items()} for key in ("size", "sha256"))
        self.reader = RangeReader(files, lambda name: manifest.place(f"{GROUP}/{name}"), sizes, sums)
        self._ids = self.scalar("image_id")

    def __len__(self) -> int:
        return len(self._ids)

    def scalar(self, name: str) -> npt.NDArray[Any]:
        if name not in self._scalars:
            with decoding(self._manifest, ARROW_DAMAGE):
                self._scalars[name] = parquet_table(self._frame, [name]).column(name).to_numpy()
        return self._scalars[name]

    def rows_of(self, image_ids: Ints) -> Ints:
        """Numbers of the images' rows, in rising order."""
        return np.flatnonzero(self._ids == image_ids[0] if len(image_ids) == 1 else np.isin(self._ids, image_ids))

    def offsets(self, info: ArrayInfo, num_bytes: int) -> npt.NDArray[np.uint64]:
        """Where the strings of a column begin and end, for all rows: about as many bytes as a scalar."""
        if info.name not in self._offsets:
            with decoding(self._manifest):
                if info.shape != (len(self) + 1,):
                    raise ValueError(f"{info.name} has the shape {info.shape}, of {len(self)} rows")
                ends = self.reader.read([(info, [(0, info.shape[0])])])[0]
                # A range of rows is read from here to there, whatever these numbers are.
                if int(ends[-1]) != num_bytes or (ends[1:] < ends[:-1]).any():
                    raise ValueError(f"{info.name} do not run from 0 to {num_bytes}")
                self._offsets[info.name] = ends
        return self._offsets[info.name]

    def arrays(self, names: Sequence[str]) -> dict[str, ArrayInfo] | None:
        key = tuple(names)
        if key not in self._arrays:
            self._arrays[key] = stored_arrays(self._group, names)
        return self._arrays[key]


def _strings(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.uint64], picked: Ints) -> Ragged:
    """The strings ``picked``, whose bytes are ``data``. Raises ValueError if these are not as many as they have."""
    lengths = offsets[picked + 1] - offsets[picked]
    return Ragged(data, np.append(np.zeros(1, np.uint64), np.cumsum(lengths, dtype=np.uint64)))
