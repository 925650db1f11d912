"""The runner: which units of a node are computed now, by whom, and what becomes of their output.

It owns shards, leases, retries, commits and signals, so that a stage is only a function from a unit to rows.
"""

from __future__ import annotations

import json
import random
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pdstore import PdError, Rows, Store, __version__, layout
from pdstore.errors import CommitConflict, Preempted, StorageFailure, UsageError
from pdstore.lease import Claim
from stages.listing import Listing
from stages.pipeline import Node, Pipeline
from stages.preflight import check_inputs, check_settings, prepare
from stages.progress import Progress, Silent
from stages.ranked import Company, company_of
from stages.report import Report, raise_failures, raise_waiting
from stages.shard import Shard
from stages.state import Inputs, stale_units, units_of
from stages.unit import Output, Unit, selection_names

__all__ = ["RunOptions", "run_node"]


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
    check_settings(store, node, options.new_layer)
    report.todo, report.waiting = _plan(store, pipeline, node, run.listing, run.inputs, options)
    try:
        if report.todo and not options.dry_run:
            run.work()
    finally:
        report.seconds = time.monotonic() - started
    company.leave()
    report.is_begun = not options.dry_run and bool(store.layer(node.name, node.fingerprint).units())
    raise_failures(report, options.max_error_rate)
    raise_waiting(report, node.upstream())
    return report


def _plan(
    store: Store, pipeline: Pipeline, node: Node, listing: Listing, inputs: Inputs, options: RunOptions
) -> tuple[list[int], list[int]]:
    """(units to compute, units whose input is not there)."""
    layer = store.layer(node.name, node.fingerprint)
    wanted = list(range(units_of(node, listing)))
    if options.shard is not None:
        wanted = options.shard.units(wanted)
    stale = set(stale_units(inputs, layer.manifests()) if options.refresh else ()) & set(wanted)
    missing = sorted(stale | set(wanted) - set(layer.units()))
    ready, waiting = check_inputs(store, pipeline, node, listing, missing, options.allow_partial)
    chosen = ready[: options.limit] if options.limit else ready
    for unit in () if options.dry_run else sorted(stale & set(chosen)):
        layer.withdraw(unit)
        _forget_training(store, node)
    return chosen, waiting


def _forget_training(store: Store, node: Node) -> None:
    """A training that is computed again chooses its images anew and starts from its first step."""
    if node.stage.is_training:
        state = layout.checkpoints(node.name, node.fingerprint)
        for name in selection_names(state):
            store.files.remove(layout.selection(name))
        store.files.remove_tree(state)


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
        self.inputs = Inputs(store, pipeline, node)
        self.options, self.progress, self.should_stop, self.report = options, progress, should_stop, report
        self.company = company
        self.behind: Future[None] | None = None

    def prepare(self) -> None:
        self.layer = self.store.declare(self.node.name, self.node.identity, self.node.stage.output, __version__)
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
                while self.options.wait and self.report.held:
                    time.sleep(self.options.poll_s)
                    self._check_stop()
                    self._pass(self.report.held, writer)
        finally:
            self.progress.finish()

    def _pass(self, todo: list[int], writer: ThreadPoolExecutor) -> None:
        self.report.held = []
        try:
            for unit in todo:
                self._check_stop()
                claim = self.layer.claim(unit)
                if claim is None:
                    self.report.held.append(unit)
                elif unit in self.layer.units():
                    with claim:
                        self.progress.unit_done(unit)
                else:
                    self._attempt(unit, claim, writer)
        finally:
            self._settle()

    def _attempt(self, unit: int, claim: Claim, writer: ThreadPoolExecutor) -> None:
        """Compute a unit and hand it to the writer, which also releases the claim."""
        claim.__enter__()
        try:
            started = time.time()
            work, output = self._compute(unit)
            self._settle()
        except BaseException:
            claim.__exit__(None, None, None)
            raise
        if output is None:
            claim.__exit__(None, None, None)
        else:
            self.behind = writer.submit(self._commit, work, output, started, claim)

    def _compute(self, unit: int) -> tuple[Unit, Output | None]:
        # Of a company every rank would have to try again at once.
        self.company.call()
        for left in range(self.options.retries if self.company.size == 1 else 0, -1, -1):
            work = self._unit(unit)
            try:
                return work, self.process(work)
            except (Preempted, StorageFailure, UsageError, KeyboardInterrupt, MemoryError):
                raise
            except Exception as error:
                if left and not isinstance(error, PdError):
                    self.progress.note(f"{self.node.name} unit {unit}: {error!r}; trying again")
                    continue
                self._record_failure(unit, error)
                return work, None
        raise AssertionError("unreachable")

    def _unit(self, unit: int) -> Unit:
        return Unit(
            number=unit,
            store=self.store,
            images=self.images,
            layers=self.inputs.layers,
            listed=self.listing.read(unit) if self.node.stage.reads_listing else (),
            checkpoints=layout.checkpoints(self.node.name, self.node.fingerprint),
            should_stop=self.should_stop,
            advance=self.progress.advance,
            note=self.progress.note,
        )

    def _commit(self, unit: Unit, output: Output, started: float, claim: Claim) -> None:
        try:
            seen, errors = self.inputs.seen_by(unit.number) or {}, unit.errors()
            try:
                self.layer.commit(
                    unit.number, output.rows, errors=errors, extra=output.files, inputs=seen, started=started
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
            raise Preempted("to finish", f"a request to stop; {done}", self.node.name, fix)
