"""The runner: decides which units of a node this process computes, and in which order.

It owns claims, retries, commits and waiting; :mod:`stages.run.computation` computes a single unit. So a stage is only
a function from a unit to rows.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from pdstore import PdError, __version__
from pdstore.errors import Preempted, StorageFailure, UsageError
from pdstore.inventory import mark_complete
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.run.computation import Computation, Computed
from stages.run.ledger import Ledger
from stages.run.no_memory import no_memory
from stages.run.options import RunOptions
from stages.run.outcome import Outcome, raise_failures, raise_waiting
from stages.run.process_group import NodeGroup
from stages.run.progress import Watch
from stages.run.reporter import Reporter

__all__ = ["run_node", "run_pass"]

LONGEST_PAUSE = 5
"""The longest time between two checks of units that others hold, as a multiple of ``poll_s``."""


def run_node(project: Project, name: str, options: RunOptions = RunOptions(), watch: Watch = Watch()) -> Outcome:
    """Compute the missing units of a node. Raises as :func:`run_pass`."""
    return run_pass(project, [name], options, watch)[0]


def run_pass(
    project: Project, names: Sequence[str], options: RunOptions = RunOptions(), watch: Watch = Watch()
) -> list[Outcome]:
    """Compute the missing units of a node, or of nodes that share a pass (:mod:`stages.plan.passes`).

    A unit that several of these nodes lack is computed for all of them at once. Each node has its own claims, errors
    and commits, and what it commits is what it would commit alone.

    Returns:
        One outcome per node.

    Raises:
        StaleSettings: units exist under other settings, and ``new_layer`` is not set.
        InputMissing: an input has no committed unit, or a unit needs all of an input that is incomplete.
        PartlyFailed: some units failed or wait for their input; the others are committed.
        Preempted: a signal has requested a stop.
        PdError: no unit could be computed; or a larger share of images than ``max_error_rate`` became error rows,
            while all units are committed.
    """
    group = NodeGroup.of(project[names[0]].stage)
    if group.follows:
        _follow(project, names[0], options, Watch(should_stop=watch.should_stop), group)
        return [Outcome(names[0])]
    ledgers = [Ledger(project, name, options, watch.progress.note) for name in names]
    started = time.monotonic()
    if not options.dry_run:
        for ledger in ledgers:
            node = project[ledger.node]
            project.store.declare(node.name, node.identity, node.stage.output, __version__)
        _compute(project, [ledger for ledger in ledgers if ledger.outcome.todo], options, watch, group)
        for ledger in ledgers:
            mark_complete(ledger.layer, project.num_units(ledger.node))
            ledger.indexing.finish(project.num_units(ledger.node))
    for ledger in ledgers:
        ledger.outcome.seconds = time.monotonic() - started
        ledger.outcome.is_begun = not options.dry_run and bool(ledger.layer.units())
    group.leave()
    for ledger in ledgers:
        raise_failures(ledger.outcome, options.max_error_rate)
        raise_waiting(ledger.outcome, project[ledger.node].upstream())
    return [ledger.outcome for ledger in ledgers]


def _compute(project: Project, ledgers: Sequence[Ledger], options: RunOptions, watch: Watch, group: NodeGroup) -> None:
    if ledgers:
        inputs = {ledger.node: ledger.agenda.inputs for ledger in ledgers}
        computation = Computation(project, inputs, watch.control, options.max_error_rate)
        asked = [
            Reporter.of(project, ledger.node, partial(computation.unit, ledger.node), watch.progress.note)
            for ledger in ledgers
        ]
        reporters = [reporter for reporter in asked if reporter is not None]
        _Run(ledgers, computation, options, watch, group, reporters).work()


def _follow(project: Project, name: str, options: RunOptions, watch: Watch, group: NodeGroup) -> None:
    """On the further ranks of a training: compute with the first rank, which does everything else."""
    if group.is_called():
        Computation(project, {name: Inputs(project, name)}, watch.control, options.max_error_rate).follow()
    group.leave()


class _Run:
    """One run of one node, or of the nodes of a pass, in one process. It computes all free units, one after the other.

    While a unit is computed, a writer thread commits the one before it.
    """

    def __init__(
        self,
        ledgers: Sequence[Ledger],
        computation: Computation,
        options: RunOptions,
        watch: Watch,
        group: NodeGroup,
        reporters: Sequence[Reporter],
    ) -> None:
        self.ledgers, self.computation, self.options, self.group = ledgers, computation, options, group
        self.progress, self.should_stop = watch.progress, watch.should_stop
        self.title = " + ".join(ledger.node for ledger in ledgers)
        self.held: list[int] = []
        self.reporters = reporters
        self.behind: Future[None] | None = None

    def work(self) -> None:
        """Compute every free unit; then, with the option ``wait``, wait for the units that others hold."""
        todo = sorted({unit for ledger in self.ledgers for unit in ledger.outcome.todo})
        if self.options.shard is None:
            # Workers without a shard start at random places, so that they seldom claim the same unit.
            start = random.SystemRandom().randrange(len(todo))
            todo = todo[start:] + todo[:start]
        self.progress.start(self.title, len(todo), 0, self.computation.images_per_unit)
        try:
            for reporter in self.reporters:
                reporter.begin()
            with ThreadPoolExecutor(1, thread_name_prefix="commit") as writer:
                self._go_through(todo, writer)
                self._wait(writer)
        finally:
            for reporter in self.reporters:
                reporter.finish()
            self.progress.finish()

    def _wait(self, writer: ThreadPoolExecutor) -> None:
        """Check the units that others hold again and again, until they are committed.

        Without the option ``wait`` until the others were seen to be alive, so that nobody's unit is left behind.
        """
        pause = self.options.poll_s
        if self.options.wait and self.held:
            self.progress.note(f"{self.title}: waiting for {len(self.held)} units of other workers")
        elif doubtful := self._doubtful():
            self.progress.note(
                f"{self.title}: {len(doubtful)} units are held by workers that may be dead: looking whether they are"
            )
        while self.held and (self.options.wait or self._doubtful()):
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE * self.options.poll_s)
            self._check_stop()
            self._go_through(self.held, writer)

    def _doubtful(self) -> set[int]:
        return {unit for ledger in self.ledgers for unit in ledger.doubtful}

    def _go_through(self, todo: Sequence[int], writer: ThreadPoolExecutor) -> None:
        self.held = []
        for ledger in self.ledgers:
            ledger.outcome.held = []
        try:
            for unit in todo:
                self._check_stop()
                self._visit(unit, writer)
        finally:
            self._settle()

    def _visit(self, unit: int, writer: ThreadPoolExecutor) -> None:
        """Compute a unit of those nodes that lack it, and pass it to the writer, which also releases the claims."""
        with ExitStack() as claims:
            # First all claims: between two of them another worker could claim the unit of the second node.
            claimed = [ledger for ledger in self.ledgers if ledger.is_open(unit) and ledger.claim(unit, claims)]
            if any(unit in ledger.outcome.held for ledger in self.ledgers):
                self.held.append(unit)
            if claimed:
                self.progress.unit_started(unit)
            started = time.monotonic()
            taken = [ledger for ledger in claimed if ledger.take(unit)]
            computed = self._compute(unit, taken) if taken else []
            self._settle()
            if computed:
                done = list(zip(taken, computed, strict=True))
                self.behind = writer.submit(self._commit, unit, done, started, claims.pop_all())
            else:
                self._report(unit)

    def _compute(self, unit: int, ledgers: Sequence[Ledger]) -> list[Computed]:
        """The computed unit of each node, after retries if necessary; empty if it failed in the end."""
        self.group.call()
        # In a process group there are no retries: all ranks would have to try again together.
        for left in range(self.options.retries if self.group.size == 1 else 0, -1, -1):
            try:
                return self.computation.compute(unit, [ledger.node for ledger in ledgers])
            except (Preempted, KeyboardInterrupt):
                raise
            except (StorageFailure, UsageError):
                self.progress.attempt_failed(unit, is_last=True)
                raise
            except Exception as error:
                failure = no_memory(error) or error
                if left and not isinstance(failure, PdError):
                    self.progress.attempt_failed(unit, is_last=False)
                    self.progress.note(f"{self.title} unit {unit}: {error!r}; trying again")
                    continue
                is_ours = isinstance(failure, PdError)
                text = str(failure) if is_ours else f"{type(failure).__name__}: {failure}".rstrip(": ")
                for ledger in ledgers:
                    ledger.fail(unit, text)
                self.progress.note(f"{self.title} unit {unit} failed: {text}")
                return []
        raise AssertionError("unreachable")

    def _commit(self, unit: int, done: Sequence[tuple[Ledger, Computed]], started: float, claims: ExitStack) -> None:
        # Nodes that share a pass divide its time, so that the seconds of all commits add up to the time that was spent.
        seconds = (time.monotonic() - started) / len(done)
        with claims:
            try:
                for ledger, computed in done:
                    ledger.commit(computed, time.time() - seconds)
            except BaseException:
                self.progress.attempt_failed(unit, is_last=True)
                raise
            self._report(unit)
        for ledger, _ in done:
            ledger.indexing.committed()
        for reporter in self.reporters:
            reporter.committed()

    def _report(self, unit: int) -> None:
        """Report a unit once no node lacks it any more: failed if that of one node has failed."""
        if any(ledger.is_open(unit) for ledger in self.ledgers):
            return
        if any(unit in ledger.outcome.failed for ledger in self.ledgers):
            self.progress.attempt_failed(unit, is_last=True)
        else:
            self.progress.unit_done(unit)

    def _settle(self) -> None:
        behind, self.behind = self.behind, None
        if behind is not None:
            behind.result()

    def _check_stop(self) -> None:
        if self.should_stop():
            done = sum(len(ledger.outcome.committed) for ledger in self.ledgers)
            todo = sum(len(ledger.outcome.todo) for ledger in self.ledgers)
            problem = f"stopped with {done} of {todo} units committed"
            raise Preempted(problem, self.title, "Run the same command again to continue")
