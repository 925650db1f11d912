"""``pd show``: draw images with the masks of every node."""

from __future__ import annotations

import io
from pathlib import Path

import click

from cli.files import check_place, write_whole
from cli.output import say
from cli.session import open_project
from pdstore.errors import UsageError, nearest
from stages.show.overlays import drawable, find_image, picture_of, sample_images

__all__ = ["command"]

SINGLE_PX = 320
SHEET_PX = 200
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


@click.command("show")
@click.argument("images", nargs=-1, metavar="[IMAGE_ID|KEY]…")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.png|FILE.jpg",
              help="[default: show-ID.png or sheet.png]")  # fmt: skip
@click.option("--nodes", metavar="A,B", help="Draw only these nodes.")
@click.option("--sheet", type=click.IntRange(1), metavar="N", help="Draw N random images.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of --sheet.")
def command(images: tuple[str, ...], out: Path | None, nodes: str | None, sheet: int | None, seed: int) -> None:
    """Draw images with the masks of every node as one picture: one row per image, one column per node.

    A cluster has the same colour in all images. The path of the picture goes to stdout.

    \b
    Examples:
      pd show 0
      pd show train/n02958343/x.JPEG --nodes grouping,crf --out car.png
      pd show --sheet 12
    """
    if bool(images) == bool(sheet):
        fix = "For example: pd show 0, or: pd show --sheet 12"
        raise UsageError(f"expected images or --sheet N, found {'both' if images else 'neither'}", "pd show", fix)
    if out is not None:
        _check(out)
    project = open_project()
    known = drawable(project)
    chosen = [name.strip() for name in nodes.split(",")] if nodes else known
    for name in chosen:
        if name not in known:
            raise UsageError(f"expected a node that writes masks, found {name!r}", "--nodes", nearest(name, known))
    ids = sample_images(project, sheet, seed) if sheet else [find_image(project, text) for text in images]
    path = out or Path("sheet.png" if len(ids) > 1 else f"show-{ids[0]}.png")
    picture = picture_of(project, ids, chosen, SINGLE_PX if len(ids) == 1 else SHEET_PX)
    content = io.BytesIO()
    picture.save(content, FORMATS[path.suffix.lower()], quality=95)
    write_whole(path, content.getvalue())
    say(f"{picture.width} x {picture.height} pixels")
    print(path)


def _check(out: Path) -> None:
    check_place(out)
    if out.suffix.lower() not in FORMATS:
        fix = f"For example: --out {out.with_suffix('.png')}"
        raise UsageError(f"expected a name that ends in {', '.join(FORMATS)}, found {out.name!r}", "--out", fix)
