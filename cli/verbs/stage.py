"""``pd stage``: list the nodes, run one of them or several in one pass, or cancel the jobs that compute them."""

from __future__ import annotations

from typing import Any

import click

from cli.execution import adopt_changed, execute, interruptible
from cli.launchers.slurm.watching import cancel_jobs
from cli.options import Request, launch_options, node_options, shared_options
from cli.output import print_table, say
from cli.session import has_store, open_project, split_words
from pdstore.errors import UsageError
from stages.plan.passes import passes
from stages.plan.states import states
from stages.registry import STAGES
from stages.run.preflight import check_files_of_done, check_files_to_read, check_reports
from stages.stage import MODEL, Stage

__all__ = ["command"]


@click.group("stage")
def command() -> None:
    """List the nodes, run one of them, or cancel its jobs."""


@command.command("list")
def list_nodes() -> None:
    """List the nodes of the store's pipeline or, outside a store, the stages that exist.

    \b
    Example:
      pd stage list
    """
    if not has_store():
        rows = [(s.name, s.doc, _inputs(s), _written(s), s.unit) for s in STAGES.values()]
        print_table(("stage", "what it does", "reads", "writes", "unit"), rows)
        return
    project = open_project()
    nodes = []
    for state in states(project):
        node = project[state.node]
        inputs = ", ".join(dict.fromkeys(node.upstream()))
        nodes.append((node.name, node.stage.name, inputs, _written(node.stage), node.stage.unit, state.word))
    print_table(("node", "stage", "reads", "writes", "unit", "state"), nodes)


@command.command("run")
@click.argument("node")
@click.argument("words", nargs=-1, metavar="[NODE]… [NODE.KEY=VALUE]…")
@node_options
@shared_options
@launch_options
def run_stage(node: str, words: tuple[str, ...], **values: Any) -> None:
    """Run the missing units of one node, or of several nodes that can be computed in one pass.

    Any number of workers may run the same node at once, here or on other machines: leases divide its units among them.

    \b
    Examples:
      pd stage run grouping
      pd stage run grouping --shard 3/10
      pd stage run detic detic-human
      pd stage run grouping --workers 4
      pd stage run grouping grouping.k=5 --new-layer
      pd stage run grouping --launcher slurm --jobs 10 --gpus 1 --partition gpu
    """
    further, overrides = split_words(words)
    request = Request.parse(values, wait=values["wait"])
    project = open_project(overrides)
    names = list(dict.fromkeys([node, *further]))
    found = passes(project.pipeline, names)
    if len(found) > 1:
        problem = f"{found[0][0]} and {found[1][0]} cannot be computed in one pass"
        fix = "Name one of them, or run each in its turn: pd run NODE NODE"
        raise UsageError(problem, "pd stage run", fix)
    check_files_to_read(project, names)
    check_reports(project, names)
    adopt_changed(project, names, request, overrides)
    with interruptible() as stop:
        execute(project, names, request, overrides, stop)
    check_files_of_done(project, names)


@command.command("cancel")
@click.argument("nodes", nargs=-1, metavar="[NODE]…")
def cancel(nodes: tuple[str, ...]) -> None:
    """Cancel the Slurm jobs of these nodes, or of all nodes. Workers stop as on SIGTERM; what they committed stays.

    \b
    Examples:
      pd stage cancel grouping
      pd stage cancel
    """
    project = open_project()
    cancelled = cancel_jobs(project, [project[name].name for name in nodes] or list(project.nodes))
    for job in cancelled:
        say(f"{job.title}: job {job.job} cancelled")
    if not cancelled:
        say("No job of the nodes waits or runs.")


def _inputs(stage: Stage) -> str:
    return ", ".join(f"[{role}]" if declared.is_optional else role for role, declared in stage.inputs.items())


def _written(stage: Stage) -> str:
    return f"{stage.output.name}, {MODEL}" if stage.writes_model else stage.output.name
