"""``pd import``: add a node that reads masks from another program's file."""

from __future__ import annotations

from pathlib import Path

import click

from cli.output import say
from cli.recording import record_changes
from cli.session import open_project
from stages.exchange.imports import IMPORTS, ImportRequest

__all__ = ["command"]

_FORMATS = "\n".join(f"  {name:<9} {form.doc}" for name, form in IMPORTS.items())


@click.command(
    "import",
    help=f"""Add a node to the pipeline that reads masks from SRC. Nothing is computed.

    \b
    FORMAT is one of
    {_FORMATS}

    With --of NODE, people corrected the masks of NODE: an image that SRC lists has what SRC has for it, even if that
    is nothing, and every other image has the masks of NODE. --for lets other nodes read the corrections in place of
    NODE.

    \b
    Examples:
      pd import coco drawn.json --as drawn
      pd import coco corrected.json --as labels-corrected --of labels --for distill-train
    """,
)
@click.argument("form", metavar="FORMAT", type=click.Choice(list(IMPORTS)))
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.option("--as", "name", default="", metavar="NODE", help="The name of the new node.")
@click.option("--of", default="", metavar="NODE", help="The node whose masks were corrected.")
@click.option(
    "--for", "readers", multiple=True, metavar="NODE", help="A node that shall read the corrections. May be repeated."
)
def command(form: str, source: Path, name: str, of: str, readers: tuple[str, ...]) -> None:
    project = open_project()
    added = IMPORTS[form].add(project, ImportRequest(source, name, of, readers))
    record_changes(added)
    new = [node for node in added.nodes if node not in project.nodes]
    say(f"To compute it: pd run --until {new[-1]}")
