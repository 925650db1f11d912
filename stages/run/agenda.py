"""Which units of a node this run computes: planned once, and looked at again when the turn of each has come."""

from __future__ import annotations

import math
import time

from pdstore import Store, layout
from stages.plan.pipeline import Node, Pipeline
from stages.plan.states import Inputs, is_stale, read_failure, stale_units, units_of
from stages.run.preflight import check_inputs
from stages.run.shard import Shard
from stages.source.listing import Listing
from stages.training_place import forget

__all__ = ["Agenda"]

RELIST_S = 5.0
"""How long a listing of the committed units is believed."""


class Agenda:
    """The units of one node, as one run sees them.

    Attributes:
        inputs: what the units read. layer: where they are committed.
        todo: units to compute. waiting: units whose input is not committed yet.
    """

    def __init__(self, store: Store, pipeline: Pipeline, node: Node, listing: Listing) -> None:
        self._store, self._pipeline, self._node, self._listing = store, pipeline, node, listing
        self.inputs = Inputs(store, pipeline, node)
        self.layer = store.layer(node.name, node.fingerprint)
        self.todo: list[int] = []
        self.waiting: list[int] = []
        self._stale: set[int] = set()
        self._done: set[int] = set()
        self._listed_at = -math.inf
        self._started = time.time()

    def plan(self, shard: Shard | None, limit: int, *, refresh: bool, allow_partial: bool) -> None:
        """Choose the units. Stale ones are withdrawn only when they are taken.

        Raises:
            InputMissing: see :func:`stages.run.preflight.check_inputs`.
        """
        wanted = list(range(units_of(self._node, self._listing)))
        if shard is not None:
            wanted = shard.units(wanted)
        if refresh:
            self._stale = set(stale_units(self.inputs, self.layer.manifests())) & set(wanted)
        missing = sorted(self._stale | set(wanted) - set(self.layer.units()))
        ready, self.waiting = check_inputs(
            self._pipeline, self._node, self._listing, self.inputs, missing, allow_partial
        )
        self.todo = ready[:limit] if limit else ready

    def is_done(self, unit: int) -> bool:
        """Committed by now, by whomever. A claim to find that out would cost several writes."""
        if time.monotonic() - self._listed_at > RELIST_S:
            self._done, self._listed_at = set(self.layer.units()), time.monotonic()
        return unit in self._done and unit not in self._stale

    def failed_meanwhile(self, unit: int) -> str:
        """The error that another worker met on the unit since this run began; empty if there is none."""
        failure = read_failure(self.layer, unit)
        return failure.error if failure is not None and failure.time > self._started else ""

    def take(self, unit: int) -> bool:
        """Under a claim: is the unit still to be computed? One that still is stale is withdrawn."""
        manifest = self.layer.newest_manifest(unit)
        if manifest is None:
            return True
        if unit not in self._stale or not is_stale(self.inputs, manifest):
            return False
        if self._node.stage.is_training:
            # Before the old network goes: what is killed in between must not find the state that it was made of.
            forget(self._store, layout.checkpoints(self._node.name, self._node.fingerprint))
        self.layer.withdraw(unit)
        return True
