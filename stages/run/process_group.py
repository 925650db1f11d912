"""A training by several processes: the first runs the node like any worker, the others only compute with it.

torchrun tells each process its rank. Only the first rank claims, commits and reports. It calls the others before it
computes; if there is nothing to do, it dismisses them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from stages.stage import Stage

if TYPE_CHECKING:
    from stages.train.process_group import ProcessGroup

__all__ = ["NodeGroup", "is_first_rank"]


class NodeGroup:
    """The processes that compute a node together, as the runner sees them; for most nodes, only this process."""

    def __init__(self, group: ProcessGroup | None = None) -> None:
        self._group, self._has_called = group, False

    @classmethod
    def of(cls, stage: Stage) -> NodeGroup:
        """The processes that torchrun started, if the stage is a training. Waits until all of them have joined."""
        if not stage.is_training or int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        from stages.train.process_group import join

        return cls(join())

    @property
    def size(self) -> int:
        return self._group.size if self._group else 1

    @property
    def follows(self) -> bool:
        """True on every rank except the first."""
        return self._group is not None and not self._group.is_first

    def call(self) -> None:
        """On the first rank: let the other ranks compute, too."""
        if self._group and not self._has_called:
            self._has_called = True
            self._group.told(True)

    def is_called(self) -> bool:
        """On the other ranks: wait for the first rank; False means that there is nothing to do."""
        return self._group is not None and bool(self._group.told())

    def leave(self) -> None:
        """End the run, on every rank that has not failed."""
        if self._group:
            if self._group.is_first and not self._has_called:
                self._group.told(False)
            self._group.leave()


def is_first_rank() -> bool:
    """True in a process that torchrun did not start, and in the first of the processes that it started."""
    return int(os.environ.get("RANK", "0")) == 0
