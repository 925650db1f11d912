"""``pd stage``: list the nodes, or run one of them."""

from __future__ import annotations

from typing import Any

import click

from cli.execution import adopt_changed, execute, interruptible
from cli.options import Request, node_options, shared_options
from cli.output import print_table
from cli.session import has_store, open_project, split_words
from pdstore.errors import UsageError
from stages.plan.states import states
from stages.registry import MODEL, STAGES, Stage
from stages.run.preflight import check_files_of_done, check_files_to_read, check_reports

__all__ = ["command"]


@click.group("stage")
def command() -> None:
    """List the nodes, or run one of them."""


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
@click.argument("overrides", nargs=-1, metavar="[NODE.KEY=VALUE]…")
@node_options
@shared_options
def run_stage(node: str, overrides: tuple[str, ...], **values: Any) -> None:
    """Run the missing units of one node.

    Any number of workers may run the same node at once, here or on other machines: leases divide its units among them.

    \b
    Examples:
      pd stage run grouping
      pd stage run grouping --shard 3/10
      pd stage run grouping --workers 4
      pd stage run grouping grouping.k=5 --new-layer
      pd stage run grouping --launcher slurm --jobs 10 --gpus 1 --slurm-arg=--partition=gpu
    """
    names, _ = split_words(overrides)
    if names:
        raise UsageError(
            f"expected one node, then node.key=value, found {names[0]!r}",
            "pd stage run",
            "To run several nodes: pd run NODE NODE",
        )
    request = Request.parse(values, wait=values["wait"])
    project = open_project(overrides)
    name = project[node].name
    check_files_to_read(project, [name])
    check_reports(project, [name])
    adopt_changed(project, [name], request, overrides)
    with interruptible() as stop:
        execute(project, name, request, overrides, stop)
    check_files_of_done(project, [name])


def _inputs(stage: Stage) -> str:
    return ", ".join(f"[{role}]" if declared.is_optional else role for role, declared in stage.inputs.items())


def _written(stage: Stage) -> str:
    return f"{stage.output.name}, {MODEL}" if stage.writes_model else stage.output.name
