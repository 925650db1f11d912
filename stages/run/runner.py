"""The runner: decides which units of a node this process computes, and in which order.

It owns claims, retries, commits and waiting; :mod:`stages.run.computation` computes a single unit. So a stage is only
a function from a unit to rows.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor

from pdstore import PdError, __version__
from pdstore.errors import CommitConflict, Preempted, StorageFailure, UsageError
from pdstore.inventory import mark_complete
from pdstore.lease import Claim
from stages.plan.failures import forget_failure, record_failure
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.run.agenda import Agenda
from stages.run.computation import Computation, Computed
from stages.run.options import RunOptions
from stages.run.outcome import Outcome, raise_failures, raise_waiting
from stages.run.process_group import NodeGroup
from stages.run.progress import Watch
from stages.run.reporter import Reporter

__all__ = ["run_node"]

LONGEST_PAUSE = 5
"""The longest time between two checks of units that others hold, as a multiple of ``poll_s``."""


def run_node(project: Project, name: str, options: RunOptions = RunOptions(), watch: Watch = Watch()) -> Outcome:
    """Compute the missing units of a node.

    Raises:
        StaleSettings: units exist under other settings, and ``new_layer`` is not set.
        InputMissing: an input has no committed unit, or a unit needs all of an input that is incomplete.
        PartlyFailed: some units failed or wait for their input; the others are committed.
        Preempted: a signal has requested a stop.
        PdError: no unit could be computed; or a larger share of images than ``max_error_rate`` became error rows,
            while all units are committed.
    """
    node, group = project[name], NodeGroup.of(project[name].stage)
    if group.follows:
        _follow(project, name, options, Watch(should_stop=watch.should_stop), group)
        return Outcome(name)
    agenda = Agenda(project, name, options)
    outcome = Outcome(name, todo=agenda.work.ready, waiting=agenda.work.waiting)
    started = time.monotonic()
    if not options.dry_run:
        project.store.declare(name, node.identity, node.stage.output, __version__)
        if outcome.todo:
            computation = Computation(project, name, agenda.inputs, watch.control, options.max_error_rate)
            reporter = Reporter.of(project, name, computation.unit, watch.progress.note)
            _Run(agenda, computation, options, watch, group, reporter).work(outcome)
        mark_complete(agenda.layer, project.num_units(name))
    outcome.seconds = time.monotonic() - started
    group.leave()
    outcome.is_begun = not options.dry_run and bool(agenda.layer.units())
    raise_failures(outcome, options.max_error_rate)
    raise_waiting(outcome, node.upstream())
    return outcome


def _follow(project: Project, name: str, options: RunOptions, watch: Watch, group: NodeGroup) -> None:
    """On the further ranks of a training: compute with the first rank, which does everything else."""
    if group.is_called():
        inputs = Inputs(project, name)
        Computation(project, name, inputs, watch.control, options.max_error_rate).follow()
    group.leave()


class _Run:
    """One run of one node in one process. It computes all free units, one after the other.

    While a unit is computed, a writer thread commits the one before it.
    """

    def __init__(
        self,
        agenda: Agenda,
        computation: Computation,
        options: RunOptions,
        watch: Watch,
        group: NodeGroup,
        reporter: Reporter | None,
    ) -> None:
        self.agenda, self.computation, self.options, self.group = agenda, computation, options, group
        self.layer, self.progress, self.should_stop = agenda.layer, watch.progress, watch.should_stop
        self.reporter = reporter
        self.behind: Future[None] | None = None

    def work(self, outcome: Outcome) -> None:
        """Compute every free unit; then, with the option ``wait``, wait for the units that others hold."""
        self.outcome = outcome
        todo = list(outcome.todo)
        if self.options.shard is None:
            # Workers without a shard start at random places, so that they seldom claim the same unit.
            start = random.SystemRandom().randrange(len(todo))
            todo = todo[start:] + todo[:start]
        self.progress.start(self.layer.node, len(todo), 0, self.computation.images_per_unit)
        try:
            if self.reporter:
                self.reporter.begin()
            with ThreadPoolExecutor(1, thread_name_prefix="commit") as writer:
                self._pass(todo, writer)
                self._wait(writer)
        finally:
            if self.reporter:
                self.reporter.finish()
            self.progress.finish()

    def _wait(self, writer: ThreadPoolExecutor) -> None:
        """Check the units that others hold again and again, until they are committed."""
        pause = self.options.poll_s
        if self.options.wait and self.outcome.held:
            self.progress.note(f"{self.layer.node}: waiting for {len(self.outcome.held)} units of other workers")
        while self.options.wait and self.outcome.held:
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE * self.options.poll_s)
            self._check_stop()
            self._pass(self.outcome.held, writer)

    def _pass(self, todo: list[int], writer: ThreadPoolExecutor) -> None:
        self.outcome.held = []
        try:
            for unit in todo:
                self._check_stop()
                if self.agenda.is_done(unit):
                    self.progress.unit_done(unit)
                elif (claim := self.layer.claim(unit)) is None:
                    self.outcome.held.append(unit)
                else:
                    self._attempt(unit, claim, writer)
        finally:
            self._settle()

    def _attempt(self, unit: int, claim: Claim, writer: ThreadPoolExecutor) -> None:
        """Compute a unit if that is still to be done, and pass it to the writer, which also releases the claim."""
        claim.start()
        try:
            started = time.time()
            computed = self._compute(unit) if self._take(unit) else None
            self._settle()
        except BaseException:
            claim.release()
            raise
        if computed is None:
            claim.release()
        else:
            self.behind = writer.submit(self._commit, computed, started, claim)

    def _take(self, unit: int) -> bool:
        """Under the claim: is the unit still to be computed?"""
        error = self.agenda.failed_meanwhile(unit)
        if error:
            self.outcome.failed[unit] = error
            self.progress.unit_started(unit)
            self.progress.attempt_failed(unit, is_last=True)
            return False
        if self.agenda.take(unit):
            return True
        self.progress.unit_done(unit)
        return False

    def _compute(self, unit: int) -> Computed | None:
        """The computed unit, after retries if necessary; None if it failed in the end."""
        self.group.call()
        self.progress.unit_started(unit)
        # In a process group there are no retries: all ranks would have to try again together.
        for left in range(self.options.retries if self.group.size == 1 else 0, -1, -1):
            try:
                return self.computation.compute(unit)
            except (Preempted, KeyboardInterrupt):
                raise
            except (StorageFailure, UsageError, MemoryError):
                self.progress.attempt_failed(unit, is_last=True)
                raise
            except Exception as error:
                is_last = not left or isinstance(error, PdError)
                self.progress.attempt_failed(unit, is_last)
                if not is_last:
                    self.progress.note(f"{self.layer.node} unit {unit}: {error!r}; trying again")
                    continue
                self._record_failure(unit, error)
                return None
        raise AssertionError("unreachable")

    def _commit(self, computed: Computed, started: float, claim: Claim) -> None:
        unit = computed.unit
        try:
            self._write(computed, started)
        except BaseException:
            self.progress.attempt_failed(unit.number, is_last=True)
            raise
        else:
            self.progress.unit_done(unit.number)
        finally:
            claim.release()
        if self.reporter:
            self.reporter.committed()

    def _write(self, computed: Computed, started: float) -> None:
        unit, output = computed.unit, computed.output
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
            return
        forget_failure(self.layer, unit.number)
        self.outcome.committed.append(unit.number)
        self.outcome.images += computed.images
        self.outcome.rejected += computed.rejected
        self.outcome.left_out += unit.left_out
        self.outcome.coverage = unit.coverage
        self.outcome.num_used += unit.num_used

    def _record_failure(self, unit: int, error: Exception) -> None:
        text = str(error) if isinstance(error, PdError) else f"{type(error).__name__}: {error}"
        self.outcome.failed[unit] = text
        record_failure(self.layer, unit, text)
        self.progress.note(f"{self.layer.node} unit {unit} failed: {text}")

    def _settle(self) -> None:
        behind, self.behind = self.behind, None
        if behind is not None:
            behind.result()

    def _check_stop(self) -> None:
        if self.should_stop():
            problem = f"stopped with {len(self.outcome.committed)} of {len(self.outcome.todo)} units committed"
            raise Preempted(problem, self.layer.node, "Run the same command again to continue")
