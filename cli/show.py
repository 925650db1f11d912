"""``pd show``: a picture of an image with the masks of every node."""

from __future__ import annotations

from pathlib import Path

import click

from cli.output import say
from cli.session import open_pipeline
from pdstore.errors import UsageError, nearest
from stages.overlays import drawable, find_image, picture_of, sample_images

__all__ = ["command"]

SINGLE_PX = 320
SHEET_PX = 200


@click.command("show")
@click.argument("images", nargs=-1, metavar="[IMAGE_ID|KEY]…")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE.png", help="[default: show-ID.png or sheet.png]")
@click.option("--nodes", metavar="A,B", help="Only these nodes.")
@click.option("--sheet", type=click.IntRange(1), metavar="N", help="N images by chance.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of --sheet.")
def command(images: tuple[str, ...], out: str | None, nodes: str | None, sheet: int | None, seed: int) -> None:
    """Draw images with the masks of every node into one PNG: a row an image, a column a node.

    A cluster has the same colour in all images. The path of the picture goes to stdout.

    \b
    Examples:
      pd show 0
      pd show train/n02958343/x.JPEG --nodes grouping,crf --out car.png
      pd show --sheet 12
    """
    if bool(images) == bool(sheet):
        fix = "For example: pd show 0, or: pd show --sheet 12"
        raise UsageError("images or --sheet N", "both" if images else "neither", "pd show", fix)
    store, pipeline = open_pipeline()
    known = drawable(pipeline)
    chosen = [name.strip() for name in nodes.split(",")] if nodes else known
    for name in chosen:
        if name not in known:
            raise UsageError("a node that writes masks", repr(name), "--nodes", nearest(name, known))
    if sheet:
        ids = sample_images(store, pipeline, sheet, seed)
    else:
        ids = [find_image(store, pipeline, text) for text in images]
    path = Path(out or ("sheet.png" if len(ids) > 1 else f"show-{ids[0]}.png"))
    picture = picture_of(store, pipeline, ids, chosen, SINGLE_PX if len(ids) == 1 else SHEET_PX)
    picture.save(path, "PNG")
    say(f"{picture.width} x {picture.height} pixels")
    print(path)
