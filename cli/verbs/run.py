"""``pd run``: run every node that is not done, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from cli.execution import adopt_changed, execute, interruptible
from cli.launchers.slurm.pipeline import run_pipeline
from cli.launchers.slurm.submission import request_of_node
from cli.next_step import next_step
from cli.options import Request, launch_options, shared_options
from cli.output import say
from cli.session import open_project, split_words
from pdstore.errors import InputMissing, Preempted
from stages.plan.passes import passes
from stages.plan.pipeline import Pipeline
from stages.plan.project import Project
from stages.run.preflight import check_files_of_done, check_files_to_read, check_reports
from stages.run.signals import StopRequest

__all__ = ["command", "needed"]


@click.command("run")
@click.argument("words", nargs=-1, metavar="[NODE]… [NODE.KEY=VALUE]…")
@click.option("--until", metavar="NODE", help="Run this node and everything it needs, then stop.")
@shared_options
@launch_options
def command(words: tuple[str, ...], until: str | None, **values: Any) -> None:
    """Run every node that is not done, in order; with NODEs, only these.

    Nodes that look at the same images with the same network, such as detic and detic-human, are computed in one pass.
    The last line says what to try next. A run that was killed continues where it stopped: the same command computes
    only what is missing.

    \b
    Examples:
      pd run
      pd run --until labels
      pd run grouping crf grouping.k=5 --new-layer
      pd run --launcher slurm --jobs 20 --gpus 1 --partition gpu
    """
    names, overrides = split_words(words)
    request = Request.parse(values, wait=True)
    project = open_project(overrides)
    chosen = _chosen(project.pipeline, names, until)
    check_files_to_read(project, chosen)
    check_reports(project, chosen)
    adopt_changed(project, chosen, request, overrides)
    with interruptible() as stop:
        if request.launch.launcher == "slurm" and not request.options.dry_run:
            run_pipeline(project, passes(project.pipeline, chosen), request, overrides, stop)
        else:
            _run_in_turn(project, chosen, request, overrides, stop)
    check_files_of_done(project, chosen)
    if not request.options.dry_run:
        say(next_step(project))


def _run_in_turn(
    project: Project, chosen: Sequence[str], request: Request, overrides: Sequence[str], stop: StopRequest
) -> None:
    for group in passes(project.pipeline, chosen):
        if stop():
            raise Preempted("stopped by a signal before this node began", group[0])
        is_slurm = request.launch.launcher == "slurm"
        asked = request_of_node(project, group[0], request) if is_slurm else request
        try:
            execute(project, group, asked, overrides, stop)
        except InputMissing as error:
            # In a dry run the nodes before this one have not run, so their output may be missing.
            if not request.options.dry_run:
                raise
            for name in group:
                say(f"{name}: would run after its inputs ({error.problem})")


def needed(pipeline: Pipeline, name: str) -> set[str]:
    """A node and every node that it reads, directly or indirectly."""
    names = {pipeline[name].name}
    for source in pipeline[name].upstream():
        names |= needed(pipeline, source)
    return names


def _chosen(pipeline: Pipeline, names: list[str], until: str | None) -> list[str]:
    wanted = {pipeline[name].name for name in names}
    if until:
        wanted |= needed(pipeline, until)
    elif not names:
        regular = [name for name in pipeline.nodes if not pipeline.spec.nodes[name].optional]
        wanted = set().union(*(needed(pipeline, name) for name in regular))
    return [name for name in pipeline.nodes if name in wanted]
