"""The sample order: which row is in which batch, as a pure function of (rows, seed, epoch).

Blocks are shuffled, then rows are shuffled inside a window of blocks, then the rows are cut into global batches of
equal size. A rank takes its slice of each batch, so the batches do not depend on the number of ranks or workers, and
the state of a stream is the pair (epoch, batches consumed).

Cost: the rows of one window in memory, plus 8 bytes per row for the selection's blocks. Bias: two rows whose blocks
fall into different windows never share a batch in that epoch, except in the batch at the border. Since blocks are
random samples of the store and windows change with the epoch, gradients stay unbiased.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt

__all__ = ["ORDER_VERSION", "Position", "SampleOrder", "generator"]

ORDER_VERSION = 1

Ints = npt.NDArray[np.int64]


def generator(*key: int | str) -> np.random.Generator:
    """A random generator that depends on ``key`` alone: the same on every machine and in every process."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


@dataclass(frozen=True)
class Position:
    """Where a stream stands: ``batches`` batches of ``epoch`` have been consumed."""

    epoch: int = 0
    batches: int = 0


@dataclass(frozen=True)
class SampleOrder:
    """The order of a selection's rows.

    Args:
        block_of_row: (R,) int64, the block of each row of the selection.
        batch_size: rows in a global batch, over all ranks.
        seed: seed of the shuffling.
        window: number of blocks that are shuffled together, and so are in memory at once.

    Raises:
        ValueError: there are no rows, or the batch size or window is below 1.
    """

    block_of_row: Ints
    batch_size: int
    seed: int = 0
    window: int = 8

    def __post_init__(self) -> None:
        if len(self.block_of_row) == 0:
            raise ValueError("a sample order needs at least one row, got none")
        if self.batch_size < 1 or self.window < 1:
            raise ValueError(f"batch_size and window must be at least 1, got {self.batch_size} and {self.window}")

    @property
    def batches_per_epoch(self) -> int:
        return -(-len(self.block_of_row) // self.batch_size)

    def epoch(self, epoch: int) -> Ints:
        """(batches_per_epoch, batch_size) int64: row numbers of the selection, for the whole epoch at once."""
        return np.stack(list(self._cut(epoch)))

    def _cut(self, epoch: int) -> Iterator[Ints]:
        """The batches of an epoch, each (batch_size,) int64, made one window at a time.

        Every row comes once; the last batch is filled up with the first rows of the same epoch.
        """
        front: Ints = np.zeros(0, np.int64)
        left: Ints = np.zeros(0, np.int64)
        for rows in self._windows(epoch):
            if len(front) < self.batch_size:
                front = np.concatenate([front, rows[: self.batch_size]])
            rows = np.concatenate([left, rows])
            whole = len(rows) // self.batch_size * self.batch_size
            yield from rows[:whole].reshape(-1, self.batch_size)
            left = rows[whole:]
        if len(left):
            missing = self.batch_size - len(left)
            yield np.concatenate([left, np.resize(front, missing)])

    def _windows(self, epoch: int) -> Iterator[Ints]:
        rng = generator("order", ORDER_VERSION, self.seed, epoch)
        blocks = rng.permutation(len(self._starts))
        ends = np.append(self._starts[1:], len(self.block_of_row))
        for first in range(0, len(blocks), self.window):
            chosen = blocks[first : first + self.window]
            rows = np.concatenate([np.arange(self._starts[b], ends[b]) for b in chosen])
            yield rng.permutation(rows if self._by_block is None else self._by_block[rows])

    @cached_property
    def _by_block(self) -> Ints | None:
        """The rows sorted by block; None if they are already sorted, as in a selection of images in store order."""
        is_sorted = bool((np.diff(self.block_of_row) >= 0).all())
        return None if is_sorted else np.argsort(self.block_of_row, kind="stable")

    @cached_property
    def _starts(self) -> Ints:
        """Where each block's rows begin, in the order of :attr:`_by_block`."""
        blocks = self.block_of_row if self._by_block is None else self.block_of_row[self._by_block]
        return np.flatnonzero(np.diff(blocks, prepend=-1))

    def batches(self, start: Position = Position(), rank: int = 0, ranks: int = 1) -> Iterator[tuple[Position, Ints]]:
        """An endless iterator of (position before the batch, this rank's rows of the batch), from ``start`` on.

        Raises:
            ValueError: if ``ranks`` does not divide the batch size.
        """
        if self.batch_size % ranks or not 0 <= rank < ranks:
            raise ValueError(f"rank {rank} of {ranks}: the batch of {self.batch_size} must split evenly over the ranks")
        share = self.batch_size // ranks
        position = start
        while True:
            for rows in islice(self._cut(position.epoch), position.batches, None):
                yield position, rows[rank * share : (rank + 1) * share]
                position = replace(position, batches=position.batches + 1)
            position = Position(position.epoch + 1, 0)

    def at_step(self, step: int) -> Position:
        """The position after ``step`` batches from the very start."""
        return Position(*divmod(step, self.batches_per_epoch))
