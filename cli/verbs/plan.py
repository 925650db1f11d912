"""``pd plan``: show which units would run, and why, and what they would cost."""

from __future__ import annotations

import socket
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cli.output import print_json, print_table, say
from cli.session import open_project, split_words
from pdstore.errors import UsageError
from stages.plan.file_settings import missing_files
from stages.plan.states import NodeState, states

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages.plan.cost import Amount, NodeCost, Rate, Total
    from stages.plan.project import Project

__all__ = ["command"]


@click.command("plan")
@click.argument("overrides", nargs=-1, metavar="[NODE.KEY=VALUE]…")
@click.option("--cost", is_flag=True, help="Show hours and gigabytes, for this store and for ImageNet.")
@click.option("--rehearse", is_flag=True, help="With --cost: try nodes without a commit on 32 images.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(overrides: tuple[str, ...], cost: bool, rehearse: bool, as_json: bool) -> None:
    """Show which units of which nodes would run, and why. Overrides are tried, not recorded.

    With --cost, show what the rest of this store takes, and what all of ImageNet-1K and ImageNet-21K would take, in
    hours of one worker and in gigabytes. The rates are those of the store's commits and of the logs of its trainings.
    A node without any is not measured, or, with --rehearse, is tried on 32 images, of which nothing is kept.

    Files that settings name and that are not there are listed at the end.

    \b
    Examples:
      pd plan
      pd plan grouping.k=5
      pd plan --cost --rehearse
    """
    if rehearse and not cost:
        raise UsageError("--rehearse measures what nodes cost", "pd plan", "Add --cost")
    names, _ = split_words(overrides)
    if names:
        raise UsageError(
            f"expected node.key=value, found {names[0]!r}",
            "pd plan",
            "To see what one node would run: pd stage run NODE --dry-run",
        )
    project = open_project(overrides, only_reads=not rehearse)
    found = states(project)
    costs, sums = _costs(project, found, rehearse) if cost else ([], {})
    planned = [_entry(state) for state in found]
    if as_json:
        values: dict[str, Any] = {"nodes": {entry.pop("node"): entry for entry in planned}}
        print_json(values | (_costs_json(costs, sums) if cost else {}))
    elif cost:
        _print_costs(costs, sums)
    else:
        _print(planned)
    for missing in missing_files(project.nodes.values()):
        say(f"{missing}. Bring it before pd run")


def _print(planned: list[dict[str, Any]]) -> None:
    rows = [(e["node"], len(e["run"]) or "", _ranges(e["run"]), e["why"], e["views"]) for e in planned if e["why"]]
    if rows:
        print_table(("node", "units", "which", "why", "views"), rows, spare=("views",))
    else:
        say("Nothing to run: every node is done.")


def _entry(state: NodeState) -> dict[str, Any]:
    why = state.why
    if state.missing and len(state.waiting) == len(state.missing):
        why += "; after its inputs"
    elif state.waiting:
        why += f"; {len(state.waiting)} of them after their inputs"
    if state.stale:
        why = f"{why}; " if why else ""
        why += f"input changed for {len(state.stale)} committed units: add --refresh to recompute them"
    views = f"show {state.shown[:8]} until {state.fingerprint[:8]} is complete" if state.is_behind else ""
    return {
        "node": state.node,
        "run": state.missing,
        "waiting": state.waiting,
        "stale": state.stale,
        "why": why,
        "views": views,
    }


def _costs(project: Project, found: Sequence[NodeState], rehearse: bool) -> tuple[list[NodeCost], dict[str, Total]]:
    from stages.plan.cost import measured, node_costs, totals

    rates = measured(project)
    unknown = [name for name, rate in rates.items() if rate.seconds is None]
    if rehearse and unknown:
        rates |= _rehearsed(project, unknown)
    costs = node_costs(project, found, rates)
    return costs, totals(project, costs)


def _rehearsed(project: Project, names: Sequence[str]) -> dict[str, Rate]:
    # Imported here, as all that costs need: a plan without costs starts sooner.
    from cli.execution import interruptible
    from stages.run.rehearsal import rehearse
    from stages.unit import Control

    with interruptible() as stop:
        return rehearse(project, names, Control(should_stop=stop, note=say))


def _costs_json(costs: Sequence[NodeCost], sums: dict[str, Total]) -> dict[str, Any]:
    nodes = {cost.node: cost.to_dict() for cost in costs}
    return {"cost": {"nodes": nodes, "totals": {name: asdict(total) for name, total in sums.items()}}}


def _print_costs(costs: Sequence[NodeCost], sums: dict[str, Total]) -> None:
    places = list(sums)
    headings = [f"{place}, {unit}" for place in places for unit in ("h", "GB")]
    rows = []
    for cost in costs:
        amounts = [cost.left, *cost.whole.values()]
        basis = cost.rate.basis if cost.rate.seconds is not None else "no"
        rows.append((cost.node, basis, *_rate_text(cost.rate), *(n for a in amounts for n in _numbers(a))))
    print_table(("node", "measured", "time", "size", *headings), rows)
    print()
    names = ("", "images", "hours of one worker", "hours of trainings", "GB", "workers for 24 h", "not measured")
    cells = [
        (name, t.images, t.hours, t.training_hours, t.gigabytes, t.workers, ", ".join(t.not_measured))
        for name, t in sums.items()
    ]
    print_table(names, cells, spare=("not measured",))
    for cost in costs:
        if cost.rate.seconds is None:
            say(f"{cost.node}: {cost.rate.basis}")
    say("This store: what it still lacks. The others: all of their images, in a store of their own.")
    say("Workers for 24 h: as fast as the measured ones, for everything but the trainings and what was not measured.")
    elsewhere = sorted({host for cost in costs for host in cost.rate.hosts} - {socket.gethostname()})
    if elsewhere:
        say(f"Some rates were measured on {', '.join(elsewhere)}, not on this machine.")


def _rate_text(rate: Rate) -> tuple[str, str]:
    """Such as ``545 ms/image`` and ``12.3 KB/image``; empty where it was not measured."""
    per = "" if rate.per == "run" else f"/{rate.per}"
    seconds, size = rate.seconds, rate.size
    time = "" if seconds is None else f"{1e3 * seconds:.4g} ms{per}" if seconds < 1 else f"{seconds:.4g} s{per}"
    if size is None:
        return time, ""
    return time, f"{size / 1e3:.4g} KB/image" if rate.per == "image" else f"{size / 1e6:.4g} MB"


def _numbers(amount: Amount) -> tuple[Any, Any]:
    """Hours and gigabytes as cells; a question mark where they are not known."""
    return tuple("?" if value is None else value for value in (amount.hours, amount.gigabytes))  # type: ignore[return-value]


def _ranges(units: list[int]) -> str:
    """Units as text: ``0-3, 7, 9-11``."""
    runs: list[list[int]] = []
    for unit in units:
        if runs and unit == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], unit]
        else:
            runs.append([unit, unit])
    shown = [str(a) if a == b else f"{a}-{b}" for a, b in runs[:6]]
    return ", ".join(shown) + (", …" if len(runs) > 6 else "")
