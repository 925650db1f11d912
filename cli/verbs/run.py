"""``pd run``: every node that is missing, in order."""

from __future__ import annotations

from typing import Any

import click

from cli.execution import adopt_changed, execute, interruptible
from cli.options import Request, shared_options
from cli.output import say
from cli.session import open_project, split_words
from pdstore.errors import InputMissing, Preempted
from stages.plan.pipeline import Pipeline

__all__ = ["command", "needed"]


@click.command("run")
@click.argument("words", nargs=-1, metavar="[NODE]… [NODE.KEY=VALUE]…")
@click.option("--until", metavar="NODE", help="Stop after this node: run it and all that it needs.")
@shared_options
def command(words: tuple[str, ...], until: str | None, **values: Any) -> None:
    """Run every node that is missing, in order; with NODEs, these alone.

    A run that was killed goes on where it was: the same command again computes only what is missing.

    \b
    Examples:
      pd run
      pd run --until labels
      pd run grouping crf grouping.k=5 --new-layer
    """
    names, overrides = split_words(words)
    request = Request.parse(values, wait=True)
    project = open_project(overrides)
    chosen = _chosen(project.pipeline, names, until)
    adopt_changed(project, chosen, request, overrides)
    with interruptible() as stop:
        for name in chosen:
            if stop():
                raise Preempted("expected to finish, found a request to stop", name)
            try:
                execute(project, name, request, overrides, stop)
            except InputMissing as error:
                # What would come first is not there in a dry run, and that is no fault.
                if not request.options.dry_run:
                    raise
                say(f"{name}: would run after its inputs ({error.problem})")


def needed(pipeline: Pipeline, name: str) -> set[str]:
    """A node and all that it reads, directly or not."""
    found = {pipeline[name].name}
    for source in pipeline[name].upstream():
        found |= needed(pipeline, source)
    return found


def _chosen(pipeline: Pipeline, names: list[str], until: str | None) -> list[str]:
    wanted = {pipeline[name].name for name in names}
    if until:
        wanted |= needed(pipeline, until)
    return [name for name in pipeline.nodes if name in wanted or not (names or until)]
