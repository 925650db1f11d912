"""Byte strings of different lengths in one array: compressed sparse rows (data + offsets)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Ragged"]


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
            raise ValueError(f"offsets must run from 0 to {len(self.data)}, the number of bytes, got {offsets!r}")
        if np.any(offsets[1:] < offsets[:-1]):
            raise ValueError(f"offsets must never decrease, got {offsets!r}")

    @classmethod
    def from_list(cls, strings: Iterable[bytes]) -> Ragged:
        parts = list(strings)
        offsets = np.zeros(len(parts) + 1, np.uint64)
        np.cumsum([len(p) for p in parts], out=offsets[1:])
        return cls(np.frombuffer(b"".join(parts), np.uint8), offsets)

    @classmethod
    def concat(cls, items: Iterable[Ragged]) -> Ragged:
        return cls.from_list(string for item in items for string in item)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> bytes:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} strings")
        index %= len(self)
        return self.data[int(self.offsets[index]) : int(self.offsets[index + 1])].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ragged):
            return NotImplemented
        return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.data, other.data)

    def take(self, index: npt.ArrayLike) -> Ragged:
        """The strings at ``index`` ((M,) int or (N,) bool), in that order."""
        picked = np.arange(len(self))[np.asarray(index)]
        offsets = self.offsets.astype(np.int64)
        # Slices of a view: a string is copied once, when all are joined.
        view = np.ascontiguousarray(self.data).data
        bounds = zip(offsets[picked].tolist(), offsets[picked + 1].tolist(), strict=True)
        data = np.frombuffer(b"".join([view[start:stop] for start, stop in bounds]), np.uint8)
        starts = np.zeros(len(picked) + 1, np.uint64)
        np.cumsum(np.diff(offsets)[picked], out=starts[1:])
        return Ragged(data, starts)
