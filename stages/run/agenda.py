"""Which units of a node this run computes: planned once, then checked again just before each unit is computed."""

from __future__ import annotations

import math
import time

from stages.plan.failures import read_failure, stored_failures
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.plan.work import Work
from stages.run.options import RunOptions
from stages.run.preflight import checked_work
from stages.training_place import TrainingPlace

__all__ = ["Agenda"]

RELIST_S = 5.0
"""How long a listing of the committed units is trusted."""


class Agenda:
    """The units of one node, as one run sees them.

    Attributes:
        inputs: what the units read. layer: where they are committed.
        work: the plan.
    """

    def __init__(self, project: Project, name: str, options: RunOptions) -> None:
        """Plan the run. A stale unit is withdrawn only when it is taken.

        Raises:
            StaleSettings, InputMissing: see :func:`stages.run.preflight.checked_work`.
        """
        self.inputs, self.layer = Inputs(project, name), project.layer(name)
        self.work: Work = checked_work(project, name, self.inputs, options)
        self._place = TrainingPlace(project.store, name, self.layer.fingerprint)
        self._is_training = project[name].stage.is_training
        self._refreshed = set(self.work.stale) if options.refresh else set()
        self._done: set[int] = set()
        self._listed_at = -math.inf
        # A look for what other workers have done is a request in an object store, and a listing there many of them: who
        # has met nobody at these units does without.
        self._looks_again = self.layer.store.files.is_local
        # Not by the time of a failure: that is by the clock of another machine.
        self._failed_since: set[int] = set()
        self._failed_before = stored_failures(self.layer)

    def is_done(self, unit: int) -> bool:
        """True if any worker has committed the unit by now, and it is not stale and to be computed again.

        To find this out by a claim would cost several writes.
        """
        if self._looks_again and time.monotonic() - self._listed_at > RELIST_S:
            self._done, self._listed_at = set(self.layer.units()), time.monotonic()
        return unit in self._done and unit not in self._refreshed

    def failed_meanwhile(self, unit: int) -> str:
        """The error of another worker on the unit since this run began; empty if there is none."""
        failure = read_failure(self.layer, unit) if self._looks_again else None
        if failure is not None:
            self._failed_since.add(unit)
        return failure.error if failure is not None and failure != self._failed_before.get(unit) else ""

    def may_have_failed(self, unit: int) -> bool:
        """Whether there may be a record of an error of the unit. In an object store it costs a request to remove it."""
        return self.layer.store.files.is_local or unit in self._failed_before or unit in self._failed_since

    def met_another(self) -> None:
        """Another worker computes these units, too: from now on its work is looked for."""
        self._looks_again = True

    def take(self, unit: int) -> bool:
        """Under a claim: is the unit still to be computed? If the unit is still stale, it is withdrawn."""
        manifest = self.layer.newest_manifest(unit)
        if manifest is None:
            return True
        if unit not in self._refreshed or not self.inputs.is_stale(manifest):
            self.met_another()
            return False
        if self._is_training:
            # First the state, then the network: if we are killed in between, the next run must not resume from a
            # state that belongs to the old network.
            self._place.forget()
        self.layer.withdraw(unit)
        return True
