"""The state of every node: what is done, running, stale, failed or missing, and why it would run."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pdstore import Layer, Store, layout
from pdstore.commit import Manifest, inputs_digest
from stages.plan.changes import changes, summary
from stages.plan.pipeline import Node, Pipeline
from stages.source.listing import Listing
from stages.training_place import state_folder

__all__ = [
    "BUCKET",
    "Failure",
    "Inputs",
    "NodeState",
    "is_stale",
    "newest_layer",
    "node_state",
    "older_layers",
    "read_failure",
    "read_failures",
    "stale_units",
    "states",
    "units_of",
]

BUCKET = 64
"""Classes a unit of ranking."""


@dataclass(frozen=True)
class Failure:
    """The last error of a unit, and when it was met (seconds since 1970)."""

    error: str
    time: float


@dataclass(frozen=True)
class NodeState:
    """One node.

    Attributes:
        units: how many there are. done, stale, failed, running: unit numbers; stale ones are also done.
        waiting: missing units whose input is not committed yet.
        other: committed units under other settings, by fingerprint.
        is_begun: a training that was stopped before its end has left a state to go on from.
        why: why there is something to run; empty if there is not.
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
    other: dict[str, int]
    errors: int
    seconds: float
    is_begun: bool
    why: str

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

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        values["layer"] = values.pop("fingerprint")
        return values | {"state": self.word, "missing": self.missing}


def units_of(node: Node, listing: Listing) -> int:
    """How many units a node has."""
    if node.stage.unit == "block":
        return listing.blocks
    return -(-len(listing.classes()) // BUCKET) if node.stage.unit == "bucket" else 1


class Inputs:
    """What the units of a node read, with one listing a layer.

    Attributes:
        layers: input role -> the layers that the pipeline's settings lead to.
        committed: node -> the units of its layer that were committed when this was made. A run reads these and says
            so in its commits; what comes meanwhile shows as newer.
    """

    def __init__(self, store: Store, pipeline: Pipeline, node: Node) -> None:
        self.layers = {
            role: [store.layer(name, pipeline.nodes[name].fingerprint) for name in names]
            for role, names in node.inputs.items()
        }
        self._whole = {
            name for name in node.upstream() if node.stage.is_barrier or pipeline.nodes[name].stage.is_barrier
        }
        self.committed = {m.node: frozenset(m.units()) for members in self.layers.values() for m in members}
        self._digests: dict[str, str] = {}

    def seen_by(self, unit: int) -> dict[str, str] | None:
        """Input role -> digest of the content that ``unit`` reads now; None if some of it is not committed."""
        seen = {}
        for role, members in self.layers.items():
            digests = [self._digest(layer, unit) for layer in members]
            if None in digests:
                return None
            seen[role] = ",".join(str(digest) for digest in digests)
        return seen

    def _digest(self, layer: Layer, unit: int) -> str | None:
        committed = self.committed[layer.node]
        if layer.node not in self._whole:
            return layer.manifest(unit).content if unit in committed else None
        if not committed:
            return None
        if layer.node not in self._digests:
            self._digests[layer.node] = inputs_digest(layer.manifests(committed))
        return self._digests[layer.node]


def node_state(store: Store, pipeline: Pipeline, node: Node, listing: Listing) -> NodeState:
    """The state of one node."""
    layer = store.layer(node.name, node.fingerprint)
    total = units_of(node, listing)
    manifests = layer.manifests()
    leases = {unit for unit, lease in layer.leases().items() if not lease.is_expired(time.time())}
    failed = {unit: why for unit, why in read_failures(layer).items() if unit not in manifests}
    missing = sorted(set(range(total)) - set(manifests))
    other = older_layers(store, node)
    return NodeState(
        node=node.name,
        stage=node.stage.name,
        fingerprint=node.fingerprint,
        units=total,
        done=sorted(manifests),
        stale=stale_units(Inputs(store, pipeline, node), manifests),
        failed=failed,
        running=sorted(leases - set(manifests)),
        waiting=_waiting(store, pipeline, node, listing, missing),
        other={old.fingerprint: len(old.units()) for old in other},
        errors=sum(m.rows.get("errors", 0) for m in manifests.values()),
        seconds=round(sum(m.seconds for m in manifests.values()), 2),
        is_begun=node.stage.is_training
        and state_folder(store, layout.checkpoints(node.name, node.fingerprint)).exists(),
        why=_why(store, pipeline, node, other, manifests, missing),
    )


def states(store: Store, pipeline: Pipeline) -> list[NodeState]:
    """The state of every node, in the pipeline's order."""
    listing = Listing(store)
    return [node_state(store, pipeline, node, listing) for node in pipeline.nodes.values()]


def older_layers(store: Store, node: Node) -> list[Layer]:
    """Layers of the node under other settings that hold committed units."""
    return [layer for layer in store.layers(node.name) if layer.fingerprint != node.fingerprint and layer.units()]


def newest_layer(layers: Sequence[Layer]) -> Layer:
    """The one that was written to last, of layers that hold committed units."""
    return max(layers, key=lambda layer: max(m.created for m in layer.manifests().values()))


def read_failures(layer: Layer) -> dict[int, str]:
    """Unit -> the last error of a unit that failed."""
    names = layer.store.files.names(layout.failures(layer.node, layer.fingerprint))
    found = {unit: read_failure(layer, unit) for unit in (int(name.split(".")[0]) for name in names)}
    return {unit: failure.error for unit, failure in found.items() if failure is not None}


def read_failure(layer: Layer, unit: int) -> Failure | None:
    """The last error of a unit; None if it has not failed, or was committed since."""
    try:
        values = json.loads(layer.store.files.read(layout.failure(layer.node, layer.fingerprint, unit)))
    except FileNotFoundError:
        return None
    return Failure(str(values["error"]), float(values["time"]))


def stale_units(inputs: Inputs, manifests: Mapping[int, Manifest]) -> list[int]:
    """The committed units that were computed from other input than is there now."""
    for layer in (member for members in inputs.layers.values() for member in members):
        layer.manifests(inputs.committed[layer.node])  # gathered, in place of one by one below
    return [unit for unit, manifest in manifests.items() if is_stale(inputs, manifest)]


def is_stale(inputs: Inputs, manifest: Manifest) -> bool:
    """True if a unit was computed from other input than is there now."""
    seen = inputs.seen_by(manifest.unit)
    return seen is not None and seen != dict(manifest.inputs)


def _waiting(store: Store, pipeline: Pipeline, node: Node, listing: Listing, missing: list[int]) -> list[int]:
    blocked: set[int] = set()
    for name in node.upstream():
        source = pipeline.nodes[name]
        done = set(store.layer(name, source.fingerprint).units())
        if source.stage.is_barrier or node.stage.is_barrier:
            if len(done) < units_of(source, listing):
                return missing
        else:
            blocked |= set(missing) - done
    return sorted(blocked)


def _why(
    store: Store,
    pipeline: Pipeline,
    node: Node,
    other: list[Layer],
    manifests: Mapping[int, Manifest],
    missing: list[int],
) -> str:
    if not missing:
        return ""
    if manifests or not other:
        return f"{len(missing)} not computed yet"
    former = newest_layer(other).info.identity
    return f"settings changed: {summary(changes(store, pipeline, former, node))}"
