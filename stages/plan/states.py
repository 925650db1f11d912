"""The state of every node: what is done, running, stale, failed or missing, and why it would run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pdstore import Layer
from pdstore.errors import CorruptData, InputMissing
from pdstore.inventory import shown_layers
from stages.plan.changes import changes, summary
from stages.plan.committed import Committed, read_committed
from stages.plan.failures import read_failures
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.plan.work import Snapshot, plan_work
from stages.training_place import TrainingPlace

__all__ = [
    "Holder",
    "NodeState",
    "newest_layer",
    "node_state",
    "older_layers",
    "states",
]


@dataclass(frozen=True)
class Holder:
    """Who holds the lease of a unit.

    Attributes:
        host, pid: the worker; empty and 0 if the file of the lease is damaged.
        unchanged_s: for how long the lease has been seen unchanged from this machine, in seconds of its own clock.
        is_expired: the worker is gone, and the unit may be taken over.
    """

    host: str
    pid: int
    unchanged_s: float
    is_expired: bool


@dataclass(frozen=True)
class NodeState:
    """The state of one node.

    Attributes:
        units: how many units the node has. done, stale, running: unit numbers; stale units are also done.
        failed: unit -> its last error. waiting: missing units whose input is not committed yet.
        shown: fingerprint of the layer that the views show. It is another one while the layer of changed settings is
            incomplete.
        other: fingerprint -> number of committed units, for layers under other settings.
        errors: images that became rows of ``errors``. seconds: time spent on the committed units.
        is_begun: a training that was stopped before its end has left a state to resume from.
        why: why there is something to run; empty if there is nothing.
        holders: unit -> who holds its lease, for missing units.
    """

    node: str
    stage: str
    fingerprint: str
    units: int
    done: list[int]
    stale: list[int]
    failed: dict[int, str]
    running: list[int]
    waiting: list[int]
    shown: str
    other: dict[str, int]
    errors: int
    seconds: float
    is_begun: bool
    why: str
    holders: dict[int, Holder] = field(default_factory=dict)

    @property
    def missing(self) -> list[int]:
        return sorted(set(range(self.units)) - set(self.done))

    @property
    def word(self) -> str:
        """done, running, stale, failed, partly done or not started."""
        if self.running:
            return "running"
        if self.failed:
            return "failed"
        if self.stale:
            return "stale"
        if not self.missing:
            return "done"
        return "partly done" if self.done or self.is_begun else "not started"

    @property
    def is_behind(self) -> bool:
        """True if the views show an earlier layer."""
        return self.shown != self.fingerprint

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        values["layer"] = values.pop("fingerprint")
        return values | {"state": self.word, "missing": self.missing}


def node_state(project: Project, name: str) -> NodeState:
    """The state of one node."""
    return _state(project, name, read_committed(project, [name]), shown_layers(project.store))


def states(project: Project) -> list[NodeState]:
    """The state of every node, in the pipeline's order."""
    seen, shown = read_committed(project, project.nodes), shown_layers(project.store)
    return [_state(project, name, seen, shown) for name in project.nodes]


def _state(project: Project, name: str, seen: Mapping[str, Committed], shown: Mapping[str, str]) -> NodeState:
    node, layer, committed = project[name], project.layer(name), seen[name]
    done = committed.content
    work = plan_work(Snapshot.read(project, name, Inputs(project, name, seen), committed))
    missing = sorted(work.ready + work.waiting)
    holders = {
        unit: Holder(lease.host, lease.pid, round(lease.unchanged_s, 1), lease.is_expired)
        for unit, lease in layer.leases().items()
        if unit not in done
    }
    older = _older_units(project, name)
    return NodeState(
        node=name,
        stage=node.stage.name,
        fingerprint=node.fingerprint,
        units=project.num_units(name),
        done=sorted(done),
        stale=work.stale,
        failed={unit: why for unit, why in read_failures(layer).items() if unit not in done},
        running=[unit for unit, holder in holders.items() if not holder.is_expired],
        waiting=work.waiting,
        shown=shown.get(name, node.fingerprint),
        other={old.fingerprint: units for old, units in older.items()},
        errors=committed.errors,
        seconds=round(committed.seconds, 2),
        is_begun=node.stage.is_training and TrainingPlace(project.store, name, node.fingerprint).is_begun,
        why=_why(project, name, list(older), bool(done), len(missing)),
        holders=holders,
    )


def older_layers(project: Project, name: str) -> list[Layer]:
    """The node's layers under other settings that hold committed units."""
    return list(_older_units(project, name))


def _older_units(project: Project, name: str) -> dict[Layer, int]:
    """Each of :func:`older_layers`, and how many units it holds."""
    current = project[name].fingerprint
    counts = {old: len(old.kept_units()) for old in project.store.layers(name) if old.fingerprint != current}
    return {old: units for old, units in counts.items() if units}


def newest_layer(layers: Sequence[Layer]) -> Layer:
    """The layer with the latest commit; all of ``layers`` must hold committed units."""
    if len(layers) == 1:
        return layers[0]  # as almost always: its commits need not be read
    return max(layers, key=lambda layer: max(layer.commits().column("created")))


def _why(project: Project, name: str, older: list[Layer], is_begun: bool, missing: int) -> str:
    if not missing:
        return ""
    if is_begun or not older:
        only = "; optional: only if it is named" if project.pipeline.spec.nodes[name].optional else ""
        return f"{missing} not computed yet{only}"
    try:
        former = newest_layer(older).info.identity
    except (CorruptData, InputMissing):
        # What an older layer was computed under is only told to the reader: its loss must not be in the way.
        return "settings changed: the records of the former layer cannot be read, see pd verify"
    return f"settings changed: {summary(changes(project, former, name))}"
