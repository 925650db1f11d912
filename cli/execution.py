"""Run nodes from the command line: record settings, catch signals, draw progress, print one line at the end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import click

from cli.launchers.local import run_workers
from cli.launchers.parent import stop_with_parent
from cli.launchers.slurm.submission import script_of, submit_nodes
from cli.launchers.torchrun import Machines, run_ranks
from cli.launchers.worker import devices_for, num_gpus, worker_command
from cli.main import INTERRUPTED
from cli.options import Launch, Request
from cli.output import say
from cli.progress import WORKER, progress_for
from pdstore import Layer
from pdstore.errors import PartlyFailed, PdError, Preempted, UsageError
from stages.plan.failures import read_failures
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.plan.settings import adopt
from stages.plan.shard import Shard
from stages.plan.work import Work
from stages.run.outcome import Outcome
from stages.run.preflight import checked_work
from stages.run.process_group import is_first_rank
from stages.run.progress import Watch
from stages.run.runner import run_pass
from stages.run.signals import StopRequest, stop_on_signals
from stages.stage import Stage

__all__ = ["adopt_changed", "execute", "interruptible"]

_PLURALS = {"class": "classes", "name": "unclear file names"}
AGAIN = "Run the same command again to continue"


@contextlib.contextmanager
def interruptible() -> Iterator[StopRequest]:
    """Catch SIGTERM, SIGUSR1 (exit code 75) and Ctrl-C (130) while inside."""
    with stop_on_signals() as stop:
        stop_with_parent()
        try:
            yield stop
        except Preempted as error:
            error.fix = error.fix or AGAIN
            if stop.signal == signal.SIGINT:
                error.exit_code = INTERRUPTED
            raise


def adopt_changed(project: Project, names: Sequence[str], request: Request, overrides: Sequence[str]) -> None:
    """Record changed settings, so that the layers they lead to become the current ones.

    With overrides, every node of the pipeline is checked. Without any, only the nodes about to run are checked: a file
    named in a setting may have appeared or changed since the last run.

    Raises:
        StaleSettings: a node has committed units under other settings, and ``--new-layer`` is not given.
    """
    if is_first_rank():
        options = request.options
        adopt(project, project.nodes if overrides else names, options.new_layer, dry_run=options.dry_run)


def execute(
    project: Project, names: Sequence[str], request: Request, overrides: Sequence[str], stop: StopRequest
) -> None:
    """Run the missing units of one node, or of the nodes of a pass, here or through the requested launcher.

    What was done is printed.

    Raises:
        click.exceptions.Exit: a worker failed and has already printed why.
        PdError: as in :func:`stages.run.runner.run_pass`.
    """
    if request.launch.nodes > 1 and not project[names[0]].stage.is_training:
        fix = "Leave --nodes out: workers on any machines share its units by themselves"
        raise UsageError("only a training runs on several machines at once", names[0], fix)
    options, launch = request.options, _filled(project, names[0], request.launch)
    request = replace(request, launch=launch)
    if launch.launcher == "slurm":
        _submit(project, names, request, overrides)
    elif launch.launcher == "ray" and not options.dry_run:
        _run_on_ray(project, names, request, overrides, stop)
    elif (launch.workers or launch.gpus) and not options.dry_run:
        _launch(project, names, request, overrides, stop)
    else:
        for outcome in run_pass(project, names, options, Watch(progress_for(project.pipeline), stop)):
            stage = project[outcome.node].stage
            is_whole = len(outcome.committed) == project.num_units(outcome.node)
            text = _planned(stage, outcome) if options.dry_run else _done(stage, outcome, options.shard, is_whole)
            if text and is_first_rank():
                say(text)


def _filled(project: Project, name: str, launch: Launch) -> Launch:
    """With ``--launcher local`` and no number: one process per GPU for networks, one per core for the rest."""
    if launch.launcher != "local" or launch.workers or launch.gpus:
        return launch
    gpus = num_gpus() if project[name].stage.uses_network else 0
    # A training on the CPU uses all cores in one process.
    cores = 1 if project[name].stage.is_training else os.cpu_count() or 1
    return replace(launch, gpus=gpus) if gpus else replace(launch, workers=cores)


def _launch(
    project: Project, names: Sequence[str], request: Request, overrides: Sequence[str], stop: StopRequest
) -> None:
    works = _works(project, names, request)
    if not works:
        return
    command, launch = worker_command(project.store, list(works), request, overrides), request.launch
    count = launch.gpus or launch.workers
    if project[names[0]].stage.is_training and count * launch.nodes > 1:
        devices_for(launch.gpus)
        machines = Machines(launch.nodes, launch.rendezvous)
        code = run_ranks(command, count, on_gpus=bool(launch.gpus), machines=machines)
    else:
        code = run_workers(command, launch, _num_ready(works), stop)
    _leave(project, works, code)


def _run_on_ray(
    project: Project, names: Sequence[str], request: Request, overrides: Sequence[str], stop: StopRequest
) -> None:
    works = _works(project, names, request)
    if works:
        # Loaded only if it is asked for: the package is an extra.
        from cli.launchers.ray_tasks import run_tasks

        # Tasks have no shards: what a lost node leaves undone is taken over by the others.
        asked = replace(request, options=replace(request.options, wait=True))
        command, stage = worker_command(project.store, list(works), asked, overrides), project[names[0]].stage
        _leave(project, works, run_tasks(command, request.launch, _num_ready(works), stage, stop))


def _works(project: Project, names: Sequence[str], request: Request) -> dict[str, Work]:
    """What there is to do for each node that is not done."""
    # Planned once, here: otherwise every worker would report the same missing input.
    works = {name: checked_work(project, name, Inputs(project, name), request.options) for name in names}
    for name in [name for name, work in works.items() if not (work.ready or work.waiting)]:
        say(f"{name}: already done")
        del works[name]
    return works


def _num_ready(works: Mapping[str, Work]) -> int:
    return max(1, len({unit for work in works.values() for unit in work.ready}))


def _leave(project: Project, works: Mapping[str, Work], code: int) -> None:
    """Exit with the code of the worst worker, if it failed."""
    if code == PdError.exit_code and any(_is_partial(project.layer(name), work) for name, work in works.items()):
        # The worker failed before the others had committed anything, so it could not know that the failure is partial.
        code = PartlyFailed.exit_code
    if code:
        raise click.exceptions.Exit(code)


def _is_partial(layer: Layer, work: Work) -> bool:
    return bool((work.waiting or read_failures(layer)) and layer.units())


def _submit(project: Project, names: Sequence[str], request: Request, overrides: Sequence[str]) -> None:
    name = "+".join(names)
    if request.options.dry_run:
        print(script_of(project, names, request, overrides), end="")
        return
    # Whoever names a node wants these tasks, even if others already work on it.
    job = submit_nodes(project, names, request, overrides, is_shared=True).job
    print(job.job)
    say(f"{name}: {len(job.tasks)} tasks submitted (pd-{name}.sbatch). To follow them: pd status")


def _planned(stage: Stage, outcome: Outcome) -> str:
    if not outcome.todo:
        return f"{outcome.node}: nothing to run"
    shown = ", ".join(map(str, outcome.todo[:12])) + (", …" if len(outcome.todo) > 12 else "")
    return f"{outcome.node}: {_units(stage, len(outcome.todo))} would run: {shown}"


def _done(stage: Stage, outcome: Outcome, shard: Shard | None, is_whole: bool) -> str:
    """What the progress lines have not already said."""
    lines: list[str] = []
    parts = []
    is_worker = WORKER in os.environ
    if not outcome.committed and not is_worker:
        idle = f"nothing to do in shard {shard.k}/{shard.n}" if shard else "already done"
        parts.append("no unit is free" if outcome.held else idle)
    if outcome.coverage:
        found = f"{outcome.coverage.images} images listed, {outcome.coverage.in_store} of them in the store"
        lines.append(f"{found}, {outcome.num_used} annotations used{'' if is_whole else ' in this run'}")
    left_out = {"image": outcome.rejected, **outcome.left_out}
    shown = [f"{count} {_PLURALS.get(what, f'{what}s')}" for what, count in left_out.items() if count]
    if shown:
        parts.append(f"{', '.join(shown)} left out, with the reason in the table errors")
    if outcome.held and not is_worker:
        parts.append(f"{_units(stage, len(outcome.held))} held by other workers")
    lines += ["; ".join(parts)] if parts else []
    return "\n".join(f"{outcome.node}: {line}" for line in lines)


def _units(stage: Stage, count: int) -> str:
    if stage.unit == "whole":
        return "training" if stage.is_training else "network" if stage.writes_model else "evaluation"
    return f"{count} {stage.unit}{'s' * (count != 1)}"
