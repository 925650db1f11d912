"""``pd plan``: show which units would run, and why."""

from __future__ import annotations

from typing import Any

import click

from cli.output import print_json, print_table, say
from cli.session import open_project, split_words
from pdstore.errors import UsageError
from stages.plan.file_settings import missing_files
from stages.plan.states import NodeState, states

__all__ = ["command"]


@click.command("plan")
@click.argument("overrides", nargs=-1, metavar="[NODE.KEY=VALUE]…")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(overrides: tuple[str, ...], as_json: bool) -> None:
    """Show which units of which nodes would run, and why. Overrides are tried, not recorded.

    Files that settings name and that are not there are listed at the end.

    \b
    Examples:
      pd plan
      pd plan grouping.k=5
    """
    names, _ = split_words(overrides)
    if names:
        raise UsageError(
            f"expected node.key=value, found {names[0]!r}",
            "pd plan",
            "To see what one node would run: pd stage run NODE --dry-run",
        )
    project = open_project(overrides)
    planned = [_entry(state) for state in states(project)]
    if as_json:
        print_json({"nodes": {entry.pop("node"): entry for entry in planned}})
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
