"""Running a node from the command line: settings recorded, signals caught, progress drawn, one line at the end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from cli.launchers.local import devices_for, run_workers, slurm_script, submit, worker_command
from cli.launchers.torchrun import run_ranks
from cli.main import INTERRUPTED
from cli.options import Request
from cli.output import say
from cli.progress import WORKER, progress_for
from pdstore import Store
from pdstore.errors import PartlyFailed, PdError, Preempted
from stages.plan.pipeline import Node, Pipeline, record
from stages.plan.states import Inputs, read_failures, units_of
from stages.run.outcome import Report
from stages.run.preflight import check_inputs, check_settings
from stages.run.process_group import is_first_rank
from stages.run.runner import run_node
from stages.run.shard import Shard
from stages.run.signals import StopRequest, stop_on_signals
from stages.source.listing import Listing

__all__ = ["adopt", "execute", "interruptible"]

AGAIN = "Run the same command again to go on"


@contextlib.contextmanager
def interruptible() -> Iterator[StopRequest]:
    """Catch SIGTERM, SIGUSR1 (exit code 75) and Ctrl-C (130) while inside."""
    with stop_on_signals() as stop:
        try:
            yield stop
        except Preempted as error:
            error.fix = error.fix or AGAIN
            if stop.signal == signal.SIGINT:
                error.exit_code = INTERRUPTED
            raise


def adopt(store: Store, pipeline: Pipeline, names: Sequence[str], request: Request, overrides: Sequence[str]) -> None:
    """Record changed settings, so that the layers they lead to become the current ones.

    With overrides every node that they change is looked at; without any, only those that are about to run: a file
    that a setting names may have come or changed since.

    Raises:
        StaleSettings: one of them has committed units under other settings, and ``--new-layer`` is not given.
    """
    if not is_first_rank():
        return
    current = store.current()
    changed = [n for n in pipeline.nodes.values() if n.fingerprint != current.get(n.name)]
    looked_at = [n for n in changed if overrides or n.name in names]
    for node in looked_at:
        check_settings(store, pipeline, node, request.options.new_layer)
    if looked_at and not request.options.dry_run:
        record(store, pipeline)


def execute(
    store: Store, pipeline: Pipeline, name: str, request: Request, overrides: Sequence[str], stop: StopRequest
) -> None:
    """Run what is missing of one node, in this process or by the launcher that was asked for, and say what was done.

    Raises:
        click.exceptions.Exit: a worker did not end well, and has said why itself.
        PdError: as :func:`stages.run.runner.run_node`.
    """
    node = pipeline[name]
    if request.launch.launcher == "slurm":
        _submit(store, node, request, overrides)
    elif (request.launch.workers or request.launch.gpus) and not request.options.dry_run:
        _launch(store, pipeline, node, request, overrides, stop)
    else:
        report = run_node(store, pipeline, name, request.options, progress_for(pipeline), stop)
        text = _planned(node, report) if request.options.dry_run else _done(node, report, request.options.shard)
        if text and is_first_rank():
            say(text)


def _launch(
    store: Store, pipeline: Pipeline, node: Node, request: Request, overrides: Sequence[str], stop: StopRequest
) -> None:
    options, listing = request.options, Listing(store)
    check_settings(store, pipeline, node, options.new_layer)
    # Checked here once, so that a missing input is one error and not one a worker.
    todo, layer = set(range(units_of(node, listing))), store.layer(node.name, node.fingerprint)
    if not options.refresh:
        todo -= set(layer.units())
    inputs = Inputs(store, pipeline, node)
    ready, waiting = check_inputs(pipeline, node, listing, inputs, sorted(todo), options.allow_partial)
    if not (ready or waiting):
        say(f"{node.name}: done already")
        return
    command, launch = worker_command(store, node.name, request, overrides), request.launch
    count = launch.gpus or launch.workers
    if node.stage.is_training and count > 1:
        devices_for(launch.gpus)
        code = run_ranks(command, count, on_gpus=bool(launch.gpus))
    else:
        code = run_workers(command, launch, max(1, len(ready)), stop)
    if code == PdError.exit_code and (waiting or read_failures(layer)) and layer.units():
        # Said by a worker that had failed before the others committed anything.
        code = PartlyFailed.exit_code
    if code:
        raise click.exceptions.Exit(code)


def _submit(store: Store, node: Node, request: Request, overrides: Sequence[str]) -> None:
    script = slurm_script(worker_command(store, node.name, request, overrides), node.name, request.launch, Path.cwd())
    if request.options.dry_run:
        print(script, end="")
        return
    path = Path(f"pd-{node.name}.sbatch")
    print(submit(script, path.absolute()))
    say(f"{node.name}: {request.launch.jobs} tasks submitted ({path}). See: pd status")


def _planned(node: Node, report: Report) -> str:
    if not report.todo:
        return f"{node.name}: nothing to run"
    shown = ", ".join(map(str, report.todo[:12])) + (", …" if len(report.todo) > 12 else "")
    return f"{node.name}: {_units(node, len(report.todo))} would run: {shown}"


def _done(node: Node, report: Report, shard: Shard | None) -> str:
    """What the progress has not said already."""
    parts = []
    is_worker = WORKER in os.environ
    if not report.committed and not is_worker:
        nothing = f"nothing to do in shard {shard.k}/{shard.n}" if shard else "done already"
        parts.append("nothing is free" if report.held else nothing)
    if report.rejected:
        parts.append(f"{report.rejected} images left out, with the reason in the table errors")
    if report.held and not is_worker:
        parts.append(f"{_units(node, len(report.held))} held by other workers")
    return f"{node.name}: {'; '.join(parts)}" if parts else ""


def _units(node: Node, count: int) -> str:
    if node.stage.unit == "whole":
        return "training" if node.stage.is_training else "network" if node.stage.writes_model else "evaluation"
    return f"{count} {node.stage.unit}{'s' * (count != 1)}"
