"""Byte strings of different lengths in one array: compressed sparse rows (data + offsets)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Ragged"]

FEW = 64
"""Strings up to which they are cut out one by one; Arrow takes a quarter of the time for many, but more to begin."""


@dataclass(frozen=True, eq=False)
class Ragged:
    """N byte strings: string i is ``data[offsets[i]:offsets[i + 1]]``.

    Attributes:
        data: (total bytes,) uint8.
        offsets: (N + 1,) uint64, from 0, never decreasing.

    Raises:
        ValueError: if the offsets do not describe ``data``.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.uint64]

    def __post_init__(self) -> None:
        offsets = self.offsets
        if offsets.ndim != 1 or len(offsets) == 0 or offsets[0] != 0 or int(offsets[-1]) != len(self.data):
            found = f"{offsets[0]} to {offsets[-1]}" if offsets.ndim == 1 and len(offsets) else f"shape {offsets.shape}"
            raise ValueError(f"offsets must run from 0 to {len(self.data)}, the number of bytes, got {found}")
        if np.any(offsets[1:] < offsets[:-1]):
            at = int(np.argmax(offsets[1:] < offsets[:-1]))
            raise ValueError(f"offsets must never decrease, got {offsets[at]} before {offsets[at + 1]}")

    @classmethod
    def from_list(cls, strings: Iterable[bytes]) -> Ragged:
        parts = list(strings)
        return cls(np.frombuffer(b"".join(parts), np.uint8), _ends(np.array([len(p) for p in parts], np.uint64)))

    @classmethod
    def concat(cls, items: Iterable[Ragged]) -> Ragged:
        parts = list(items)
        if len(parts) < 2:
            return parts[0] if parts else cls.from_list([])
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        return cls._of(np.concatenate([part.data for part in parts]), _ends(lengths))

    @classmethod
    def _of(cls, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.uint64]) -> Ragged:
        """Strings that were cut out of valid ones: they are valid, too, and are not checked again."""
        ragged = object.__new__(cls)
        object.__setattr__(ragged, "data", data)
        object.__setattr__(ragged, "offsets", offsets)
        return ragged

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> bytes:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} strings")
        index %= len(self)
        return self.data[int(self.offsets[index]) : int(self.offsets[index + 1])].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.strings(0, len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ragged):
            return NotImplemented
        return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.data, other.data)

    def strings(self, start: int, stop: int) -> list[bytes]:
        """The strings from ``start`` to before ``stop``, of which 0 <= ``start`` <= ``stop`` <= N must hold."""
        if stop - start > FEW:
            offsets, data = (
                pa.py_buffer(self.offsets[start : stop + 1].astype(np.int64)),
                pa.py_buffer(np.ascontiguousarray(self.data)),
            )
            strings: list[bytes] = pa.Array.from_buffers(
                pa.large_binary(), stop - start, [None, offsets, data]
            ).to_pylist()
            return strings
        bounds: list[int] = self.offsets[start : stop + 1].tolist()
        first = bounds[0]
        cut = self.data[first : bounds[-1]].tobytes()
        return [cut[a - first : b - first] for a, b in pairwise(bounds)]

    def take(self, index: npt.ArrayLike | slice) -> Ragged:
        """The strings at ``index``, in that order: (M,) int, (N,) bool, or a slice.

        A slice whose step is 1 copies no bytes of strings, and any other index copies each run of neighbours at once.
        """
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                offsets = self.offsets[start : max(start, stop) + 1]
                return Ragged._of(self.data[int(offsets[0]) : int(offsets[-1])], offsets - offsets[0])
            index = np.arange(start, stop, step)
        picked = np.arange(len(self))[np.asarray(index)]
        # Where a run of neighbours begins, and where it ends.
        breaks = np.flatnonzero(np.diff(picked) != 1)
        firsts, lasts = np.append(picked[:1], picked[breaks + 1]), np.append(picked[breaks], picked[-1:])
        # Slices of a view: a string is copied once, when all are joined.
        view = np.ascontiguousarray(self.data).data
        bounds = zip(self.offsets[firsts].tolist(), self.offsets[lasts + 1].tolist(), strict=True)
        data = np.frombuffer(b"".join([view[start:stop] for start, stop in bounds]), np.uint8)
        return Ragged._of(data, _ends(np.diff(self.offsets)[picked]))


def _ends(lengths: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """(N,) lengths -> (N + 1,) offsets."""
    offsets = np.zeros(len(lengths) + 1, np.uint64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
