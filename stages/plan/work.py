"""The one planner: which units of a node are done, stale, ready to be computed, or waiting for their input.

Everything that needs to know asks here: ``pd status`` and ``pd plan``, the runner, the launchers. :func:`plan_work` is
a pure function of a :class:`Snapshot`; reading the store for one is :meth:`Snapshot.read`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pdstore.commit import Manifest
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.plan.shard import Shard

__all__ = ["Snapshot", "Source", "Work", "WorkOptions", "plan_work"]


@dataclass(frozen=True)
class Source:
    """An input node as a planner sees it.

    Attributes:
        total: how many units it has. committed: those that are committed.
        is_whole: each unit of the reader needs all of its units.
    """

    name: str
    total: int
    committed: frozenset[int]
    is_whole: bool

    @property
    def missing(self) -> list[int]:
        return sorted(set(range(self.total)) - self.committed)


@dataclass(frozen=True)
class Snapshot:
    """What is committed of a node and of its inputs, at one moment.

    Attributes:
        total: how many units the node has. committed: those that are committed.
        stale: committed units that were computed from other input than there is now.
    """

    total: int
    committed: frozenset[int]
    stale: frozenset[int] = frozenset()
    sources: tuple[Source, ...] = ()

    @classmethod
    def read(
        cls, project: Project, node: str, inputs: Inputs, manifests: Mapping[int, Manifest] | None = None
    ) -> Snapshot:
        """The node as the store has it now.

        Args:
            manifests: of the node's committed units, to find the stale ones; without them none is looked for.
        """
        sources = tuple(
            Source(name, project.num_units(name), inputs.committed[name], name in inputs.whole)
            for name in dict.fromkeys(project[node].upstream())
        )
        committed = frozenset(project.layer(node).units() if manifests is None else manifests)
        stale = frozenset(inputs.stale_units(manifests) if manifests else ())
        return cls(project.num_units(node), committed, stale, sources)


@dataclass(frozen=True)
class WorkOptions:
    """Which part of a node is asked for.

    Attributes:
        shard: only the units of this shard.
        limit: at most so many units; 0 is no limit.
        refresh: stale units are to be computed again.
        allow_partial: a unit that needs all of an input takes what there is of it.
    """

    shard: Shard | None = None
    limit: int = 0
    refresh: bool = False
    allow_partial: bool = False


@dataclass(frozen=True)
class Work:
    """The units of a node, or of a shard of it, by rising number.

    Attributes:
        done: committed, stale ones too.
        stale: committed, but computed from other input than there is now.
        ready: to be computed, and their input is committed.
        waiting: to be computed once their input is committed.
        lacking: inputs that keep all units waiting: nothing is committed, or not all of what a unit needs whole.
    """

    done: list[int]
    stale: list[int]
    ready: list[int]
    waiting: list[int]
    lacking: tuple[Source, ...] = field(default=())


def plan_work(snapshot: Snapshot, options: WorkOptions = WorkOptions()) -> Work:
    """What there is to do. Cost: linear in units × inputs."""
    chosen = list(range(snapshot.total))
    if options.shard is not None:
        chosen = options.shard.units(chosen)
    done = [unit for unit in chosen if unit in snapshot.committed]
    stale = [unit for unit in done if unit in snapshot.stale]
    todo = sorted(set(chosen) - set(done) | (set(stale) if options.refresh else set()))
    lacking = tuple(source for source in snapshot.sources if todo and _is_lacking(source, options.allow_partial))
    ready = set() if lacking else set(todo)
    for source in snapshot.sources:
        if not source.is_whole:
            ready &= source.committed
    runnable = sorted(ready)
    waiting = [unit for unit in todo if unit not in ready]
    return Work(done, stale, runnable[: options.limit] if options.limit else runnable, waiting, lacking)


def _is_lacking(source: Source, allow_partial: bool) -> bool:
    if not source.committed:
        return source.total > 0
    return source.is_whole and len(source.committed) < source.total and not allow_partial
