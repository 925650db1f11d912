"""The runner: which units of a node are computed now, by whom, and what becomes of their output.

It owns shards, leases, retries, commits and signals, so that a stage is only a function from a unit to rows.
"""

from __future__ import annotations

import json
import random
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pdstore import PdError, Rows, Store, __version__, layout
from pdstore.errors import CommitConflict, InputMissing, Preempted, StorageFailure, UsageError
from pdstore.lease import Claim
from stages.plan.pipeline import Node, Pipeline
from stages.run.agenda import Agenda
from stages.run.outcome import Report, raise_failures, raise_waiting
from stages.run.preflight import check_settings, prepare
from stages.run.process_group import Company, company_of
from stages.run.progress import Progress, Silent
from stages.run.shard import Shard
from stages.source.listing import Listing
from stages.training_place import frozen_inputs
from stages.unit import Output, Unit

__all__ = ["RunOptions", "run_node"]

LONGEST_PAUSE = 5
"""Between two looks at units that others hold, in ``poll_s``."""


@dataclass(frozen=True)
class RunOptions:
    """How a node is run; none of it changes what is computed.

    Attributes:
        limit: at most so many units in this run; 0 is no limit.
        retries: further tries for a unit that failed.
        max_error_rate: the run fails if a larger share of its images became error rows.
        allow_partial: a barrier takes what there is of its input.
        new_layer: write under changed settings beside the layer that is there.
        refresh: compute stale units again.
        wait: wait for units that other workers hold, until they are committed.
    """

    shard: Shard | None = None
    limit: int = 0
    retries: int = 1
    max_error_rate: float = 0.5
    allow_partial: bool = False
    new_layer: bool = False
    refresh: bool = False
    wait: bool = False
    dry_run: bool = False
    poll_s: float = 1.0


def run_node(
    store: Store,
    pipeline: Pipeline,
    name: str,
    options: RunOptions = RunOptions(),
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Compute the units of a node that are missing.

    Raises:
        StaleSettings: units exist under other settings (and ``new_layer`` is not set).
        InputMissing: nothing of the input is there, or a barrier's input is not complete.
        PartlyFailed: some units failed, or wait for input; the others are committed.
        Preempted: a signal asked to stop.
        PdError: more images than ``max_error_rate`` became error rows; all units are committed.
    """
    node, report = pipeline[name], Report(name)
    company, started = company_of(node), time.monotonic()
    run = _Run(store, pipeline, node, options, progress or Silent(), should_stop, report, company)
    if company.follows:
        run.follow()
        company.leave()
        return report
    check_settings(store, pipeline, node, options.new_layer)
    if not options.dry_run:
        store.declare(node.name, node.identity, node.stage.output, __version__)
    run.agenda.plan(options.shard, options.limit, refresh=options.refresh, allow_partial=options.allow_partial)
    report.todo, report.waiting = run.agenda.todo, run.agenda.waiting
    try:
        if report.todo and not options.dry_run:
            run.work()
    finally:
        report.seconds = time.monotonic() - started
    company.leave()
    report.is_begun = not options.dry_run and bool(run.layer.units())
    raise_failures(report, options.max_error_rate)
    raise_waiting(report, node.upstream())
    return report


@dataclass(frozen=True)
class _Computed:
    """A unit's output, and what its input was: role -> digest, taken before the work began."""

    work: Unit
    output: Output
    seen: Mapping[str, str]


class _Run:
    """One run of one node in one process."""

    def __init__(
        self,
        store: Store,
        pipeline: Pipeline,
        node: Node,
        options: RunOptions,
        progress: Progress,
        should_stop: Callable[[], bool],
        report: Report,
        company: Company,
    ) -> None:
        self.store, self.pipeline, self.node, self.listing = store, pipeline, node, Listing(store)
        self.agenda = Agenda(store, pipeline, node, self.listing)
        self.layer, self.inputs = self.agenda.layer, self.agenda.inputs
        self.options, self.progress, self.should_stop, self.report = options, progress, should_stop, report
        self.company = company
        self.behind: Future[None] | None = None
        self.checkpoints = layout.checkpoints(node.name, node.fingerprint)

    def prepare(self) -> None:
        self.images, self.process = prepare(self.store, self.pipeline, self.node, self.listing)

    def follow(self) -> None:
        """Compute a training beside the first rank, and leave the rest to it."""
        if self.company.is_called():
            self.progress = Silent()
            self.prepare()
            self.process(self._unit(0))

    def work(self) -> None:
        """Compute every unit that is free, then, if asked to, wait for those that others hold."""
        self.prepare()
        todo = list(self.report.todo)
        if self.options.shard is None:
            # Workers without a shard start at different places, so that they seldom reach for the same unit.
            start = random.SystemRandom().randrange(len(todo))
            todo = todo[start:] + todo[:start]
        # The mean: the last block of a listing is often shorter.
        size = self.listing.images / self.listing.blocks if self.node.stage.unit == "block" else 1
        self.progress.start(self.node.name, len(todo), 0, size)
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="commit") as writer:
                self._pass(todo, writer)
                pause = self.options.poll_s
                if self.options.wait and self.report.held:
                    self.progress.note(f"{self.node.name}: waiting for {len(self.report.held)} units of other workers")
                while self.options.wait and self.report.held:
                    time.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE * self.options.poll_s)
                    self._check_stop()
                    self._pass(self.report.held, writer)
        finally:
            self.progress.finish()

    def _pass(self, todo: list[int], writer: ThreadPoolExecutor) -> None:
        self.report.held = []
        try:
            for unit in todo:
                self._check_stop()
                if self.agenda.is_done(unit):
                    self.progress.unit_done(unit)
                elif (claim := self.layer.claim(unit)) is None:
                    self.report.held.append(unit)
                else:
                    self._attempt(unit, claim, writer)
        finally:
            self._settle()

    def _attempt(self, unit: int, claim: Claim, writer: ThreadPoolExecutor) -> None:
        """Compute a unit if it is open, and hand it to the writer, which also releases the claim."""
        claim.__enter__()
        try:
            started = time.time()
            computed = self._compute(unit) if self._take(unit) else None
            self._settle()
        except BaseException:
            claim.__exit__(None, None, None)
            raise
        if computed is None:
            claim.__exit__(None, None, None)
        else:
            self.behind = writer.submit(self._commit, computed, started, claim)

    def _take(self, unit: int) -> bool:
        """Under the claim: is the unit still to be computed?"""
        error = self.agenda.failed_meanwhile(unit)
        if error:
            self.report.failed[unit] = error
            return False
        if self.agenda.take(unit):
            return True
        self.progress.unit_done(unit)
        return False

    def _compute(self, unit: int) -> _Computed | None:
        # Of a company every rank would have to try again at once.
        self.company.call()
        for left in range(self.options.retries if self.company.size == 1 else 0, -1, -1):
            work = self._unit(unit)
            try:
                seen = self._seen(unit)
                output = self.process(work)
                self._check_files(work)
                return _Computed(work, output, seen)
            except (Preempted, StorageFailure, UsageError, KeyboardInterrupt, MemoryError):
                raise
            except Exception as error:
                if left and not isinstance(error, PdError):
                    self.progress.note(f"{self.node.name} unit {unit}: {error!r}; trying again")
                    continue
                self._record_failure(unit, error)
                return None
        raise AssertionError("unreachable")

    def _seen(self, unit: int) -> Mapping[str, str]:
        seen = self.inputs.seen_by(unit)
        assert seen is not None, "a unit is planned only when its input is committed"
        return frozen_inputs(self.store, self.checkpoints, seen) if self.node.stage.is_training else seen

    def _check_files(self, work: Unit) -> None:
        """Files that are missing by the block are a disk that is not there, and no property of the images."""
        missing = work.missing_files
        images = len(work.listed) or (len(work.keys) if missing else 0)
        if missing > self.options.max_error_rate * images:
            fix = "Bring them back (is the disk mounted?) and run again. Or do without them: --max-error-rate 1"
            root = str(self.store.info.source["root"])
            raise InputMissing(f"expected the files of the images, found {missing} of {images} missing", root, fix)

    def _unit(self, unit: int) -> Unit:
        return Unit(
            number=unit,
            store=self.store,
            images=self.images,
            layers=self.inputs.layers,
            listed=self.listing.read(unit) if self.node.stage.reads_listing else (),
            checkpoints=self.checkpoints,
            should_stop=self.should_stop,
            advance=self.progress.advance,
            note=self.progress.note,
            committed=self.inputs.committed,
        )

    def _commit(self, computed: _Computed, started: float, claim: Claim) -> None:
        unit, output, errors = computed.work, computed.output, computed.work.errors()
        try:
            try:
                self.layer.commit(
                    unit.number, output.rows, errors=errors, extra=output.files, inputs=computed.seen, started=started
                )
            except CommitConflict:
                return
            self.store.files.remove(layout.failure(self.node.name, self.node.fingerprint, unit.number))
            self._count(unit, output.rows, errors)
        finally:
            claim.__exit__(None, None, None)
            self.progress.unit_done(unit.number)

    def _count(self, unit: Unit, rows: Rows, errors: Rows) -> None:
        self.report.committed.append(unit.number)
        if self.node.stage.unit == "block":
            self.report.images += len(unit.listed) or len(unit.keys)
            self.report.rejected += len({i for i in errors["image_id"].tolist() if i >= 0})

    def _record_failure(self, unit: int, error: Exception) -> None:
        text = str(error) if isinstance(error, PdError) else f"{type(error).__name__}: {error}"
        self.report.failed[unit] = text
        entry = {"error": text, "trace": traceback.format_exc(), "time": time.time()}
        path = layout.failure(self.node.name, self.node.fingerprint, unit)
        self.store.files.write(path, json.dumps(entry, indent=1).encode())
        self.progress.note(f"{self.node.name} unit {unit} failed: {text}")

    def _settle(self) -> None:
        behind, self.behind = self.behind, None
        if behind is not None:
            behind.result()

    def _check_stop(self) -> None:
        if self.should_stop():
            done = f"{len(self.report.committed)} of {len(self.report.todo)} units committed"
            fix = "Run the same command again to go on"
            raise Preempted(f"expected to finish, found a request to stop; {done}", self.node.name, fix)
