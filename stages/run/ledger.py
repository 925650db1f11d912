"""What one node of a run still has to do, and what was done: its claims, its commits, its failures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from pdstore.errors import CommitConflict
from stages.plan.failures import forget_failure, record_failure
from stages.plan.project import Project
from stages.run.agenda import Agenda
from stages.run.computation import Computed
from stages.run.indexing import Indexing
from stages.run.options import RunOptions
from stages.run.outcome import Outcome

__all__ = ["Ledger"]


class Ledger:
    """One node of a run.

    Attributes:
        agenda: which units it lacks. layer: where they are committed. outcome: what was done.
        indexing: gathers what is committed.
    """

    def __init__(
        self, project: Project, node: str, options: RunOptions, note: Callable[[str], None] = lambda text: None
    ) -> None:
        """Plan the node.

        Args:
            note: prints a line.

        Raises:
            StaleSettings, InputMissing: see :func:`stages.run.preflight.checked_work`.
        """
        self.node, self.agenda = node, Agenda(project, node, options)
        self.layer, work = self.agenda.layer, self.agenda.work
        self.outcome = Outcome(node, todo=work.ready, waiting=work.waiting)
        self.indexing = Indexing(self.layer, note)
        self._open = set(work.ready)

    def is_open(self, unit: int) -> bool:
        """True until the unit is committed, by this run or another, or has failed; False if it was never to be done."""
        return unit in self._open

    @property
    def doubtful(self) -> list[int]:
        """The units whose holders may be dead: they were not seen at work, and are no processes of this machine."""
        return [unit for unit in self.outcome.held if not self.layer.is_held_alive(unit)]

    def claim(self, unit: int, claims: ExitStack) -> bool:
        """Claim the unit until ``claims`` is closed. False if another worker has committed it or holds it."""
        if self.agenda.is_done(unit):
            self._open.discard(unit)
            return False
        claim = self.layer.claim(unit)
        if claim is None:
            self.outcome.held.append(unit)
            self.agenda.met_another()
            return False
        claims.enter_context(claim)
        return True

    def take(self, unit: int) -> bool:
        """Under the claim: is the unit still to be computed? One that failed elsewhere during this run is not."""
        error = self.agenda.failed_meanwhile(unit)
        if error:
            self.outcome.failed[unit] = error
        elif self.agenda.take(unit):
            return True
        self._open.discard(unit)
        return False

    def commit(self, computed: Computed, started: float) -> None:
        """Commit a computed unit, unless another worker was faster.

        Args:
            started: when the work began, in seconds since 1970.

        Raises:
            StorageFailure: no space, or no permission.
        """
        unit, output, outcome = computed.unit, computed.output, self.outcome
        try:
            self.layer.commit(
                unit.number,
                output.rows,
                errors=unit.errors(),
                extra=output.files,
                inputs=computed.inputs,
                started=started,
            )
        except CommitConflict:
            pass
        else:
            if self.agenda.may_have_failed(unit.number):
                forget_failure(self.layer, unit.number)
            outcome.committed.append(unit.number)
            outcome.images += computed.images
            outcome.rejected += computed.rejected
            outcome.left_out += unit.left_out
            outcome.coverage = unit.coverage
            outcome.num_used += unit.num_used
        self._open.discard(unit.number)

    def fail(self, unit: int, error: str) -> None:
        """Record that the unit failed in the end."""
        self.outcome.failed[unit] = error
        record_failure(self.layer, unit, error)
        self._open.discard(unit)
