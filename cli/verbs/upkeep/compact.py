"""``pd compact``: gather what is committed into the index of each layer."""

from __future__ import annotations

import click

from cli.output import print_json, print_table, say
from cli.session import open_store
from pdstore.errors import UsageError, nearest
from pdstore.index import adopt

__all__ = ["command"]


@click.command("compact")
@click.argument("nodes", nargs=-1, metavar="[NODE]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(nodes: tuple[str, ...], as_json: bool) -> None:
    """Gather commits and their rows into few large files, so that status, plan and SQL read these.

    Workers do the same behind their work, for every 256 new commits, so this is needed only for a store that an earlier
    release has written. What is gathered is derived from the commits: deleting it (LAYER/index) loses nothing.

    \b
    Examples:
      pd compact
      pd compact proposals labels
    """
    store = open_store()
    known = store.nodes()
    for node in nodes:
        if node not in known:
            fix = nearest(node, known) if known else "Nothing has run yet; start with: pd run"
            raise UsageError(f"expected a node that has been run, found {node!r}", "pd compact", fix)
    done = []
    for node in nodes or known:
        for layer in store.layers(node):
            if layer.units() or not store.files.is_local:
                found = layer.compact(everything=True)
                done.append({"node": node, "layer": layer.fingerprint, **vars(found)})
    if not store.files.is_local and not nodes:
        adopt(store.files)
    if as_json:
        print_json(done)
        return
    rows = [(d["node"], d["layer"][:8], d["units"], len(d["added"]), d["files"]) for d in done if d["added"]]
    if rows:
        print_table(("node", "layer", "units gathered", "new files", "files in use"), rows)
    left = sum(len(d["left_out"]) for d in done)
    if left:
        say(f"{left} damaged units were left out. See them with: pd verify")
    say(f"Gathered {sum(d['units'] for d in done)} units." if rows else "Nothing to gather.")
