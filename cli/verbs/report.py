"""``pd report``: what the store holds and what it is worth, as one web page."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from cli.files import check_place, write_whole
from cli.output import say
from cli.session import open_project, store_argument
from stages.show.report.contents import read_contents
from stages.show.report.page import render

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
    check_place(out)
    project = open_project()
    page = render(read_contents(project, dataset, images), shlex.join(["pd", *store_argument(project.store)]))
    write_whole(out, page.encode())
    say(f"{len(page.encode()) / 1e6:.1f} MB")
    print(out)
