"""From a store to a picture: which image, which nodes have masks of it, and the sheet of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from pdstore import Layer, Rows, masks
from pdstore.errors import InputMissing, UsageError
from pdstore.files import Files
from stages.kernels.pictures import Cell, Overlay, Row, draw_sheet
from stages.plan.project import Project
from stages.source.images import ImageFault, decode

__all__ = ["drawable", "find_image", "image_of", "overlay_of", "picture_of", "sample_images"]

MAX_MASKS = 100
_COLOUR = {"objects": "object_id", "parts": "part_id", "proposals": "proposal_id"}
_OBJECT_STRIDE = 5
"""Parts of a second object take other colours than those of the first."""


def drawable(project: Project) -> list[str]:
    """The nodes that write masks, in the pipeline's order."""
    return [n.name for n in project.nodes.values() if "rle" in n.stage.output.names]


def find_image(project: Project, text: str) -> int:
    """The id of the image that is named by its id or its key, or by the end of its key.

    Raises:
        InputMissing: no image has been ingested.
        UsageError: none or several fit.
    """
    found: list[tuple[int, str]] = []
    for rows in _images(project).scan(["image_id", "key"]):
        pairs = zip(rows["image_id"].tolist(), rows["key"].tolist(), strict=True)
        found += [(i, key) for i, key in pairs if str(i) == text or key == text or key.endswith(f"/{text}")]
    exact = [i for i, key in found if text in (str(i), key)]
    if exact or len(found) == 1:
        return exact[0] if exact else found[0][0]
    fix = 'See them with: pd sql "SELECT image_id, key FROM images"'
    what = f"{len(found)} images with such a key" if found else "no image with this id or key"
    raise UsageError(f"expected an image's id or key, found {what}", repr(text), fix)


def sample_images(project: Project, count: int, seed: int) -> list[int]:
    """``count`` images by chance, or all if there are fewer."""
    ids = np.concatenate([rows["image_id"] for rows in _images(project).scan(["image_id"])])
    chosen = np.random.default_rng(seed).permutation(ids)[:count]
    return [int(i) for i in chosen]


def picture_of(project: Project, image_ids: Sequence[int], nodes: Sequence[str], cell_px: int) -> Image.Image:
    """A sheet: a row an image; its columns the image and every node that has masks of any of them.

    Raises:
        InputMissing: an image has not been ingested.
        ImageFault: an image file cannot be read.
    """
    overlays = {name: [overlay_of(project, name, i) for i in image_ids] for name in nodes}
    shown = [name for name in nodes if any(o is not None and len(o.masks) for o in overlays[name])]
    rows = []
    for number, image_id in enumerate(image_ids):
        pixels, caption = image_of(project, image_id)
        cells = [Cell(overlays[name][number] or _nothing(pixels)) for name in shown]
        rows.append(Row(pixels, [Cell(caption=caption), *cells]))
    return draw_sheet(["image", *shown], rows, cell_px)


def _images(project: Project) -> Layer:
    for node in project.nodes.values():
        if node.stage.output.name == "images":
            layer = project.layer(node.name)
            if layer.units():
                return layer
            raise InputMissing("expected images, found none ingested yet", node.name, f"Run: pd stage run {node.name}")
    raise UsageError(
        "expected a node that writes images, found none", "pipeline", "Add the node ingest to the pipeline's file"
    )


def image_of(project: Project, image_id: int) -> tuple[np.ndarray, str]:
    """((H, W, 3) uint8 RGB, caption).

    Raises:
        InputMissing: it has not been ingested, or its file cannot be read.
    """
    layer, block = _images(project), image_id // project.store.info.block_size
    rows = layer.read(block)
    rows = rows.take(rows["image_id"] == image_id)
    if not len(rows):
        fix = f'See why: pd sql "SELECT reason, detail FROM errors WHERE image_id = {image_id}"'
        raise InputMissing("expected an image that could be read, found none", f"image {image_id}", fix)
    key, name = str(rows["key"][0]), str(rows["class_name"][0])
    packed = rows.ragged("encoded")[0]
    data = packed or _file(project, key)
    try:
        return decode(data).pixels, f"{image_id} · {name}" if name else f"{image_id} · {key}"
    except ImageFault as fault:
        raise InputMissing(
            f"expected the image as it was ingested, found {fault!s}", key, "Bring the file back"
        ) from None


def _file(project: Project, key: str) -> bytes:
    images = Files(project.source.root)
    try:
        return images.read(key)
    except FileNotFoundError:
        fix = "Bring the file back; with ingest.copy=true a store keeps its own copies"
        raise InputMissing("expected the image's file, found none", images.full(key), fix) from None


def overlay_of(project: Project, name: str, image_id: int) -> Overlay | None:
    """The masks of one image; None if its block is not committed."""
    layer, block = project.layer(name), image_id // project.store.info.block_size
    if block not in layer.units():
        return None
    rows = layer.read(block, [c.name for c in layer.table.columns if c.layout == "scalar" or c.name == "rle"])
    rows = rows.take(rows["image_id"] == image_id)
    rows = rows.take(np.argsort(-rows["score"], kind="stable")[:MAX_MASKS])
    if not len(rows):
        return None
    stack = masks.decode(rows.ragged("rle"), int(rows["height"][0]), int(rows["width"][0]))
    return Overlay(stack, _colours(rows), _caption(rows))


def _colours(rows: Rows) -> list[int]:
    column = "cluster" if "cluster" in rows.columns else _COLOUR[rows.table.name]
    numbers = rows[column].astype(int)
    if column == "part_id":
        numbers = numbers + _OBJECT_STRIDE * rows["object_id"]
    return [int(n) for n in numbers]


def _caption(rows: Rows) -> str:
    noun = {"labels": "label", "predictions": "part"}.get(rows.table.name, rows.table.name.rstrip("s"))
    count = f"{len(rows)} {noun}{'s' * (len(rows) != 1)}"
    if rows.table.name == "objects":
        return f"{count}: {', '.join(dict.fromkeys(rows['category_name'].tolist()))}"
    return f"{count}, best score {float(rows['score'].max()):.2f}"


def _nothing(pixels: np.ndarray) -> Overlay:
    return Overlay(np.zeros((0, *pixels.shape[:2]), bool), (), "nothing")
