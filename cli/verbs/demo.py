"""``pd demo``: the whole pipeline on drawn images, from nothing to a trained model and its scores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import get_args

import click

from cli.execution import execute, interruptible
from cli.options import Launch, Request
from cli.output import print_json, print_table, say
from schemas.pipeline import DrawingName
from stages.plan.project import Project
from stages.run.demo import IMAGES, PRESET, DemoResult, open_demo, run_demo
from stages.run.options import RunOptions
from stages.run.signals import StopRequest
from stages.show.overlays import picture_of, sample_images

__all__ = ["command"]

FOLDER = "pd-demo"
MOST_WORKERS = 4
SHEET = "contact-sheet.png"
SHEET_NODES = ("truth-parts", "detic", "detic-human", "grouping", "crf", "labels", "distill")
SHEET_IMAGES, SHEET_PX = 8, 160


@click.command("demo")
@click.argument("overrides", nargs=-1, metavar="[NODE.KEY=VALUE]…")
@click.option(
    "--store", metavar="DIR", help=f"Where to make it. [default: the store of pd --store or PD_STORE, else {FOLDER}]"
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the drawings and the trainings."
)
@click.option(
    "--images",
    type=click.IntRange(12),
    help=f"How many images to draw. [default: {IMAGES}, or as many as an existing demo has]",
)
@click.option(
    "--drawing",
    type=click.Choice(get_args(DrawingName)),
    help="What to draw: plain shapes, or other objects with textures. [default: shapes, or what an existing demo has]",
)
@click.option(
    "--preset",
    metavar="NAME|FILE",
    help=f"The pipeline to run, on drawn images. [default: {PRESET}, or that of an existing demo]",
)
@click.option("--json", "is_json", is_flag=True, help="Print the numbers as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    overrides: tuple[str, ...],
    store: str | None,
    seed: int,
    images: int | None,
    drawing: DrawingName | None,
    preset: str | None,
    is_json: bool,
) -> None:
    """Draw images, run the whole pipeline on them, and print the scores of each stage.

    A demo that was killed continues where it stopped: run it again, or continue with pd run.

    \b
    Examples:
      pd demo
      pd demo --store /tmp/demo --seed 1 --json
      pd demo --store /tmp/textures --drawing textures
    """
    url = store or ctx.find_root().obj["store"] or FOLDER
    demo = open_demo(url, seed, images, overrides, drawing=drawing, preset=preset)
    project = Project.open(demo, overrides)
    with interruptible() as stop:
        result = run_demo(project, lambda names: _run(project, names, overrides, stop))
    sheet = demo.files.local(SHEET)
    ids = sample_images(project, SHEET_IMAGES, seed)
    picture_of(project, ids, [n for n in SHEET_NODES if n in project.nodes], SHEET_PX).save(sheet, "PNG")
    if is_json:
        print_json(result.to_dict())
    else:
        _print(result)
    say(f"pictures: {sheet}")


def _run(project: Project, names: Sequence[str], overrides: Sequence[str], stop: StopRequest) -> None:
    """Run one node, or the nodes of a pass; a CRF with several workers.

    A CRF keeps only one core busy, while a network uses all of them. A network also runs here with as many threads as
    in ``pd run``, because its results may differ in the last bit with the number of threads.
    """
    node, workers = project[names[0]], min(MOST_WORKERS, os.cpu_count() or 1)
    smooths = node.stage.name == "crf" or getattr(node.settings, "crf", None) is not None
    launch = Launch(workers=workers) if smooths and "model" not in node.inputs and workers > 1 else Launch()
    execute(project, names, Request(RunOptions(wait=True), launch), overrides, stop)


def _print(result: DemoResult) -> None:
    rows = [
        (score.name.replace("_", " "), _cell(score.ar), _cell(score.miou), f"{score.seconds:.1f}")
        for score in result.scores
    ]
    print(f"{result.images} drawn images, seed {result.seed}: honest protocol, held-out images, percent")
    print_table(("stage", "AR@20", "mIoU", "seconds"), rows)
    print(f"{result.seconds:.0f} s in total. What to try next:\n")
    for words in (
        "show --sheet 6 --out sheet.png",
        "report --out report.html",
        "status",
        'sql "SELECT class_name, count(*) n, avg(score) FROM labels JOIN images USING (image_id) GROUP BY 1"',
        "stage run grouping grouping.k=3 --new-layer",
    ):
        print(f"  pd --store {result.store} {words}")


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
