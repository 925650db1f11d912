"""``pd gc``: delete files that no commit refers to, and layers that are no longer wanted."""

from __future__ import annotations

import re
import time

import click

from cli.output import print_table, say
from cli.session import open_store
from pdstore import Layer, Store, layout
from pdstore.errors import UsageError
from pdstore.garbage import Garbage, delete_garbage, find_garbage
from pdstore.inventory import shown_layer
from pdstore.lease import SEEN
from pdstore.leases.remembered import remembered
from pdstore.records.states import add_removed
from stages.training_place import TrainingPlace

__all__ = ["command"]

HOUR_S = 3600.0
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@click.command("gc")
@click.option("--yes", is_flag=True, help="Delete. Without it, the files are only listed.")
@click.option(
    "--older-than",
    default="7d",
    show_default=True,
    metavar="AGE",
    help="Only files at least this old, such as 12h or 7d.",
)
@click.option(
    "--layer", "fingerprint", metavar="FINGERPRINT", help="Instead, a whole layer that is not the current one."
)
@click.option("--force", is_flag=True, help="With --yes: delete what is younger than an hour, too.")
def command(yes: bool, older_than: str, fingerprint: str | None, force: bool) -> None:
    """List attempts that no commit refers to, leases of workers that are gone and index files that larger ones have
    replaced; --yes deletes them.

    \b
    Examples:
      pd gc
      pd gc --older-than 12h --yes
      pd gc --layer 51ab90cd23ef4567 --yes
    """
    age_s = _seconds(older_than)
    if yes and not force and age_s < HOUR_S:
        fix = "Use --older-than 1h. Or, if no worker is running on any machine, add --force"
        raise UsageError("what is younger than an hour may be in use by a worker", f"--older-than {older_than}", fix)
    store = open_store()
    with remembered(SEEN, store.files.root):
        layer = None if fingerprint is None else _unused_layer(store, fingerprint)
        entries = find_garbage(store, age_s) if layer is None else _layer_garbage(store, layer)
    if not entries:
        say("Nothing to delete.")
        return
    rows = [(g.path, g.size, f"{g.age_s / 3600:.1f} h", g.reason) for g in entries]
    print_table(("path", "bytes", "age", "reason"), rows)
    size = sum(g.size for g in entries)
    if not yes:
        say(f"{len(entries)} entries, {size} bytes. Delete them with --yes")
        return
    deleted = [garbage for garbage in entries if delete_garbage(store, garbage)]
    if layer is not None:
        TrainingPlace(store, layer.node, layer.fingerprint).forget()
        add_removed(store.files, layer.node, layer.fingerprint)
    say(f"Deleted {len(deleted)} entries, {sum(g.size for g in deleted)} bytes.")
    if len(deleted) < len(entries):
        say(f"{len(entries) - len(deleted)} entries were left: they are in use by now.")


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if not match:
        problem = f"expected a number followed by s, m, h, d or w, found {text!r}"
        raise UsageError(problem, "--older-than", "For example: 7d")
    return float(match[1]) * _UNITS[match[2]]


def _unused_layer(store: Store, fingerprint: str) -> Layer:
    layer = _find_layer(store, fingerprint)
    if store.current().get(layer.node) == layer.fingerprint:
        settings = ", ".join(f"{key}={value}" for key, value in layer.info.identity.settings.items())
        problem = f"this is the current layer of {layer.node}, as the recorded settings lead to it ({settings})"
        raise UsageError(problem, fingerprint, f"Change them first: pd config set {layer.node}.KEY=VALUE")
    if shown_layer(store, layer.node) == layer.fingerprint:
        say(f"Until the new layer of {layer.node} is complete, the views show this one; without it they show nothing.")
    running = [unit for unit, lease in layer.leases().items() if not lease.is_expired]
    if running:
        problem = f"workers are writing units {running} of this layer"
        fix = (
            "Stop them first. Workers that were killed on another machine count as gone in two minutes: then try again"
        )
        raise UsageError(problem, fingerprint, fix)
    return layer


def _layer_garbage(store: Store, layer: Layer) -> list[Garbage]:
    node, name, now = layer.node, layer.fingerprint, time.time()
    # The index first, then the commits: a kill in between leaves units that count as missing, never units without their
    # files, and never an index of units that are computed again.
    first = (layout.recent_layer, layout.recent, layout.index, layout.complete, layout.commits)
    rest = (layout.layer, layout.leases, layout.failures, layout.checkpoints, layout.tracking)
    entries: list[Garbage] = []
    counted: set[str] = set()
    for folder in (place(node, name) for place in (*first, *rest)):
        sizes = {path: size for path, size in store.files.sizes(folder).items() if path not in counted}
        counted |= sizes.keys()
        if sizes:
            age = now - store.files.newest(folder)
            entries.append(Garbage(folder, sum(sizes.values()), age, f"layer of {node} under other settings"))
    return entries


def _find_layer(store: Store, fingerprint: str) -> Layer:
    layers = [layer for node in store.nodes() for layer in store.layers(node)]
    matches = [layer for layer in layers if layer.fingerprint.startswith(fingerprint)]
    if len(matches) != 1:
        fix = 'See them with: pd sql "SELECT node, layer, is_current, units FROM layers"'
        problem = f"expected the fingerprint of one layer, found {len(matches)} layers that begin with it"
        raise UsageError(problem, f"--layer {fingerprint}", fix)
    return matches[0]
