"""The blocks that a reader keeps in memory: those that it used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Window"]

Block = TypeVar("Block")


class Window(Generic[Block]):
    """Blocks by their numbers, each loaded when it is first asked for. Threads must not share it.

    A sample order (:class:`pdstore.stream.SampleOrder`) of ``window`` blocks needs twice as many here: while batches of
    one window are still waiting, blocks of the next one are read.

    Args:
        load: makes a block from its number.
        capacity: most blocks in memory, at least 1. Whichever was used longest ago is dropped first.
    """

    def __init__(self, load: Callable[[int], Block], capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"the capacity of a window must be at least 1, got {capacity}")
        self._load, self._capacity = load, capacity
        self._blocks: OrderedDict[int, Block] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, number: int) -> Block:
        if number in self._blocks:
            self._blocks.move_to_end(number)
        else:
            # Dropped before the next one is read, so that there are never more in memory.
            while len(self._blocks) >= self._capacity:
                self._blocks.popitem(last=False)
            self._blocks[number] = self._load(number)
        return self._blocks[number]
