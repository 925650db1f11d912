"""``pd report``: what the store holds and what it is worth, as one web page."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from uuid import uuid4

import click

from cli.output import say
from cli.session import open_pipeline, store_argument
from pdstore.errors import StorageFailure, UsageError
from stages.report_page.contents import read_contents
from stages.report_page.page import render

__all__ = ["command"]


@click.command("report")
@click.option("--out", type=click.Path(path_type=Path), default="report.html", show_default=True, metavar="FILE.html")
@click.option("--dataset", default="", metavar="NAME", help="Only this ground truth: the node NAME-parts.")
@click.option("--images", type=click.IntRange(0), default=6, show_default=True, metavar="N",
              help="Best images, and as many worst ones; without ground truth, images by chance.")  # fmt: skip
def command(out: Path, dataset: str, images: int) -> None:
    """Write one HTML page: results beside the published ones, stage by stage, by class, pictures, and the monitors.

    It shows what is there and computes nothing: pd eval makes the numbers. It needs no network and no file beside
    it. The path goes to stdout. docs/report.md says what to look for.

    \b
    Examples:
      pd report
      pd report --out /tmp/parts.html --images 12
      pd report --dataset part_imagenet_val
    """
    _check(out)
    store, pipeline = open_pipeline()
    page = render(read_contents(store, pipeline, dataset, images), shlex.join(["pd", *store_argument(store)]))
    _write(out, page.encode())
    say(f"{len(page.encode()) / 1e6:.1f} MB")
    print(out)


def _check(out: Path) -> None:
    """Raises UsageError where no file can be written, before anything is read."""
    if out.is_dir():
        raise UsageError("a file", "a folder", f"--out {out}", f"Name a file in it: --out {out / 'report.html'}")
    if not out.parent.is_dir():
        raise UsageError("a folder that is there", "none", f"--out {out}", f"Make it first: mkdir -p {out.parent}")


def _write(out: Path, data: bytes) -> None:
    """The file as a whole or not at all."""
    temporary = out.with_name(f".{out.name}.{uuid4().hex}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageFailure("a page that can be written", str(error), f"--out {out}", "Name another folder") from None
