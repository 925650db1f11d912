"""The planner: which units of a node are done, stale, ready to be computed, or waiting for their input.

It is the only one: ``pd status``, ``pd plan``, the runner and the launchers all call it. :func:`plan_work` is a pure
function of a :class:`Snapshot`; :meth:`Snapshot.read` takes a snapshot of the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stages.plan.committed import Committed
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.plan.shard import Shard

__all__ = ["Snapshot", "Source", "Work", "WorkOptions", "plan_work"]


@dataclass(frozen=True)
class Source:
    """An input node as the planner sees it.

    Attributes:
        total: how many units it has. committed: the numbers of its committed units.
        is_whole: every unit of the node that reads it needs all of its units.
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
    """What a node and its inputs have committed at one moment.

    Attributes:
        total: how many units the node has. committed: the numbers of its committed units.
        stale: committed units whose input has changed since they were computed.
        sources: the input nodes.
    """

    total: int
    committed: frozenset[int]
    stale: frozenset[int] = frozenset()
    sources: tuple[Source, ...] = ()

    @classmethod
    def read(cls, project: Project, node: str, inputs: Inputs, recorded: Committed | None = None) -> Snapshot:
        """The node as it is in the store now.

        Args:
            recorded: what the node has committed, and from what it was computed, from which stale units are detected;
                without it no unit counts as stale.
        """
        sources = tuple(
            Source(name, project.num_units(name), inputs.committed[name], name in inputs.whole)
            for name in dict.fromkeys(project[node].upstream())
        )
        committed = frozenset(project.layer(node).units() if recorded is None else recorded.content)
        stale = frozenset(inputs.stale_units(recorded) if recorded is not None else ())
        return cls(project.num_units(node), committed, stale, sources)


@dataclass(frozen=True)
class WorkOptions:
    """Which units of a node are requested.

    Attributes:
        shard: only the units of this shard.
        limit: at most this many units; 0 means no limit.
        refresh: compute stale units again.
        allow_partial: let a unit that needs all of an input use the part of it that is committed.
    """

    shard: Shard | None = None
    limit: int = 0
    refresh: bool = False
    allow_partial: bool = False


@dataclass(frozen=True)
class Work:
    """The units of a node, or of a shard of it, by rising number.

    Attributes:
        done: committed units, including stale ones.
        stale: committed units whose input has changed since they were computed.
        ready: units to compute now: their input is committed.
        waiting: units to compute later: their input is not committed yet.
        lacking: inputs that keep every unit waiting: nothing of them is committed, or not all although all is needed.
    """

    done: list[int]
    stale: list[int]
    ready: list[int]
    waiting: list[int]
    lacking: tuple[Source, ...] = field(default=())


def plan_work(snapshot: Snapshot, options: WorkOptions = WorkOptions()) -> Work:
    """The units of a node by what there is to do with them. Cost: linear in units × inputs."""
    chosen = list(range(snapshot.total))
    if options.shard is not None:
        chosen = options.shard.units(chosen)
    done = [unit for unit in chosen if unit in snapshot.committed]
    stale = [unit for unit in done if unit in snapshot.stale]
    todo = sorted(set(chosen) - set(done) | (set(stale) if options.refresh else set()))
    if not todo:
        return Work(done, stale, [], [])
    lacking = tuple(source for source in snapshot.sources if _is_lacking(source, options.allow_partial))
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
