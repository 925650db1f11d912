"""``pd export``: write the masks of a node in another program's format."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from cli.output import print_json, say, seconds_text
from cli.progress import Bar, Lines
from cli.session import open_store
from stages.exchange.export import Exported, Request, export
from stages.exchange.formats import FORMATS
from stages.source.listing import Listing
from stages.unit import Control

__all__ = ["command"]

_FORMATS = "\n".join(f"  {name:<9} {form.doc}" for name, form in FORMATS.items())


@click.command(
    "export",
    help=f"""Write the masks of a node to OUT, in original image pixels.

    \b
    FORMAT is one of
    {_FORMATS}

    A run that was stopped goes on where it was: run the same command again. OUT appears when it is whole.

    \b
    Examples:
      pd export coco labels.json --node labels
      pd export coco val.json --node labels --where "i.split = 'val' AND m.score > 0.5"
    """,
)
@click.argument("form", metavar="FORMAT", type=click.Choice(list(FORMATS)))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--node", required=True, help="The node that wrote the masks.")
@click.option(
    "--where",
    default="true",
    metavar="SQL",
    help="Only these masks: a condition over the node's rows m and the images i.",
)
@click.option("--selection", default="", metavar="ID", help="Only the images of a frozen selection.")
@click.option("--all-images", "with_empty", is_flag=True, help="List the images without a mask, too.")
@click.option("--polygons", is_flag=True, default=None, help="coco: polygons in place of run lengths.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")  # fmt: skip
def command(as_json: bool, **values: Any) -> None:
    request = _request(values)
    store, started = open_store(), time.monotonic()
    with _progress(f"export {request.form}", Listing(store)) as advance:
        done = export(store, request, Control(advance=advance))
    _summary(done, time.monotonic() - started, as_json)


@contextlib.contextmanager
def _progress(title: str, listing: Listing) -> Iterator[Callable[[int], None]]:
    """A function that reports further images. Nothing is shown before it is called for the first time."""
    progress = Bar({}) if sys.stderr.isatty() else Lines({}, "")
    is_shown = False

    def advance(images: int) -> None:
        nonlocal is_shown
        if not is_shown:
            progress.start(title, listing.blocks, 0, listing.images / max(listing.blocks, 1))
            is_shown = True
        progress.advance(images)

    try:
        yield advance
    finally:
        if is_shown:
            progress.finish()


def _request(values: dict[str, Any]) -> Request:
    fields = {name: values.pop(name) for name in list(values) if name in Request.__dataclass_fields__}
    return Request(**fields, options={name: value for name, value in values.items() if value is not None})


def _summary(done: Exported, seconds: float, as_json: bool) -> None:
    if as_json:
        print_json(vars(done) | {"seconds": round(seconds, 3)})
        return
    for reason, count in done.left_out.items():
        say(f"left out: {count} × {reason}")
    if done.reused:
        say(f"{done.reused} blocks were already written by an earlier run")
    counts = f"{done.annotations} masks of {done.images} images in {done.categories} categories"
    say(f"{done.out}: {counts}, in {seconds_text(seconds)}")
