"""A training by several processes: the first one runs the node as any worker does, the others compute beside it.

torchrun tells each process its rank. Only the first one claims, commits and reports; before it computes it calls the
others, and where there is nothing to do it dismisses them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from stages.registry import Stage

if TYPE_CHECKING:
    from stages.train.process_group import ProcessGroup

__all__ = ["NodeGroup", "is_first_rank"]


class NodeGroup:
    """The processes that compute a node, as the runner sees them; for most nodes there is only this one."""

    def __init__(self, group: ProcessGroup | None = None) -> None:
        self._group, self._has_called = group, False

    @classmethod
    def of(cls, stage: Stage) -> NodeGroup:
        """Those that torchrun started, if the stage is a training. Waits until all of them have met."""
        if not stage.is_training or int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        from stages.train.process_group import join

        return cls(join())

    @property
    def size(self) -> int:
        return self._group.size if self._group else 1

    @property
    def follows(self) -> bool:
        """True on all ranks but the first."""
        return self._group is not None and not self._group.is_first

    def call(self) -> None:
        """On the first rank: let the others compute now too."""
        if self._group and not self._has_called:
            self._has_called = True
            self._group.told(True)

    def is_called(self) -> bool:
        """On the others: waits for the first; False means that there is nothing to do."""
        return self._group is not None and bool(self._group.told())

    def leave(self) -> None:
        """The end of the run, on every rank that ends it well."""
        if self._group:
            if self._group.is_first and not self._has_called:
                self._group.told(False)
            self._group.leave()


def is_first_rank() -> bool:
    """True in a process that torchrun did not start, and in the first of those that it did."""
    return int(os.environ.get("RANK", "0")) == 0
