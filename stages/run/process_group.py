"""A training by several processes (ranks): the first runs the node as any worker does, the others compute beside it.

torchrun tells each process its rank. Only the first one claims, commits and reports; before it computes it calls the
others, and where there is nothing to do it sends them home.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from stages.plan.pipeline import Node

if TYPE_CHECKING:
    from stages.train.process_group import Ranks

__all__ = ["Company", "company_of", "is_first_rank"]


class Company:
    """The ranks of a node, as the runner sees them; a node that one process computes has none but this one."""

    def __init__(self, ranks: Ranks | None = None) -> None:
        self._ranks, self._has_called = ranks, False

    @property
    def size(self) -> int:
        return self._ranks.size if self._ranks else 1

    @property
    def follows(self) -> bool:
        """True on all ranks but the first."""
        return self._ranks is not None and not self._ranks.is_first

    def call(self) -> None:
        """The first rank: the others compute now too."""
        if self._ranks and not self._has_called:
            self._has_called = True
            self._ranks.told(True)

    def is_called(self) -> bool:
        """The others: waits for the first; False means that there is nothing to do."""
        return self._ranks is not None and bool(self._ranks.told())

    def leave(self) -> None:
        """The end of the run, on every rank that ends it well."""
        if self._ranks:
            if self._ranks.is_first and not self._has_called:
                self._ranks.told(False)
            self._ranks.leave()


def is_first_rank() -> bool:
    """True in a process that torchrun did not start, and in the first of those that it did."""
    return int(os.environ.get("RANK", "0")) == 0


def company_of(node: Node) -> Company:
    """The ranks that compute a node: those that torchrun started, if it is a training. Waits for all of them."""
    if not node.stage.is_training or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Company()
    from stages.train.process_group import join

    return Company(join())
