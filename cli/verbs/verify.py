"""``pd verify``: compare every committed file with its manifest."""

from __future__ import annotations

from dataclasses import asdict

import click

from cli.output import print_json, print_table, say
from cli.session import open_store
from pdstore.errors import CorruptData, UsageError, nearest
from pdstore.verify import Damage, repair, verify

__all__ = ["command"]


@click.command("verify")
@click.argument("node", required=False)
@click.option("--repair", "is_repair", is_flag=True, help="Withdraw damaged units, so that they are recomputed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(node: str | None, is_repair: bool, as_json: bool) -> None:
    """Read every committed file and compare its size and checksum with what was committed.

    The next pd run recomputes the units that --repair withdraws; their damaged files are kept until pd gc deletes them.

    \b
    Examples:
      pd verify
      pd verify grouping --repair
    """
    store = open_store()
    if node and node not in store.nodes():
        fix = nearest(node, store.nodes()) if store.nodes() else "Nothing has run yet; start with: pd run"
        raise UsageError(f"expected a node that has been run, found {node!r}", "pd verify", fix)
    units, damage = 0, []
    for item in verify(store, node):
        units += item is None or item.unit >= 0
        if item is not None:
            damage.append(item)
    if is_repair:
        for item in damage:
            repair(store, item)
    if as_json:
        print_json({"units": units, "damage": [asdict(item) for item in damage], "repaired": is_repair})
    elif damage:
        print_table(("node", "layer", "unit", "file", "problem"), [_row(item) for item in damage])
    _conclude(units, damage, is_repair)


def _conclude(units: int, damage: list[Damage], is_repair: bool) -> None:
    if not damage:
        say(f"{units} units are sound.")
    elif is_repair:
        say(f"{len(damage)} units or layer records were withdrawn. Recompute them with: pd run")
    else:
        fix = "Withdraw them with pd verify --repair, then recompute them with pd run"
        raise CorruptData(f"expected every file as committed, found {len(damage)} damaged", f"{units} units", fix)


def _row(item: Damage) -> tuple[object, ...]:
    return (
        item.node,
        item.fingerprint,
        item.unit if item.unit >= 0 else "",
        item.file.rsplit("/", 1)[-1],
        item.problem,
    )
