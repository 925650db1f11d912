"""Shard k/n: the units u with u mod n = k - 1. It only divides the work; every run may divide it differently."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pdstore.errors import UsageError

__all__ = ["Shard"]


@dataclass(frozen=True)
class Shard:
    """Part ``k`` of ``n``, k from 1 to n.

    Raises:
        UsageError: k is not in 1..n.
    """

    k: int
    n: int

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.n:
            fix = f"Shards are counted from 1: 1/{max(self.n, 1)} … {max(self.n, 1)}/{max(self.n, 1)}"
            raise UsageError(f"expected k/n with k from 1 to n, found {self.k}/{self.n}", "--shard", fix)

    @classmethod
    def parse(cls, text: str) -> Shard:
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if not match:
            raise UsageError(f"expected k/n, such as 3/10, found {text!r}", "--shard", "Shards are counted from 1")
        return cls(int(match[1]), int(match[2]))

    def units(self, units: list[int]) -> list[int]:
        return [unit for unit in units if unit % self.n == self.k - 1]
