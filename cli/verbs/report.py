"""``pd report``: write what the store holds, and how good it is, as one web page."""

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
@click.option("--dataset", default="", metavar="NAME", help="Use only this ground truth: the node NAME-parts.")
@click.option("--images", type=click.IntRange(0), default=4, show_default=True, metavar="N",
              help="Show N typical, N best and N worst images; without ground truth, N random ones.")  # fmt: skip
@click.option("--classes", type=click.IntRange(0), default=12, show_default=True, metavar="N",
              help="Show the parts of the N classes that have the most masks.")  # fmt: skip
def command(out: Path, dataset: str, images: int, classes: int) -> None:
    """Write one HTML page: pictures, the parts of each class, results by stage and by class, and monitors.

    The page shows what is in the store and computes nothing: run pd eval to get scores. It needs no network and no
    other file. Its path goes to stdout. docs/report.md says what to look for.

    \b
    Examples:
      pd report
      pd report --out /tmp/parts.html --images 12 --classes 40
      pd report --dataset part_imagenet_val
    """
    check_place(out)
    project = open_project(only_reads=True)
    page = render(read_contents(project, dataset, images, classes), shlex.join(["pd", *store_argument(project.store)]))
    write_whole(out, page.encode())
    say(f"{len(page.encode()) / 1e6:.1f} MB")
    print(out)
