"""From a store to a picture: find images, read the masks that nodes have of them, and draw both on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from PIL import Image

from pdstore import Layer, Rows, masks
from pdstore.errors import InputMissing, UsageError
from pdstore.sql.quoting import quoted
from schemas.catalog import catalog_of
from stages.block import check_unchanged, decoded_mb
from stages.kernels.pictures import Cell, Overlay, Row, draw_sheet
from stages.mask_names import mask_colours, without_vectors
from stages.plan.project import Project
from stages.source.frames import frame_of, image_frames, mask_frames
from stages.source.images import TOO_LARGE, ImageFault, decode
from stages.source.tars import open_images

__all__ = ["drawable", "find_image", "image_of", "images_layer", "overlay_of", "picture_of", "sample_images"]

MAX_MASKS = 100
LONGEST = 2048
"""Pixels of the longer side of what is drawn: more than a sheet shows of an image."""
IMAGE_COLUMNS = ("key", "class_name", "sha256", "encoded")


def drawable(project: Project) -> list[str]:
    """The nodes that write masks, in the pipeline's order."""
    return [n.name for n in project.nodes.values() if "rle" in n.stage.output.names]


def find_image(project: Project, text: str) -> int:
    """The id of an image, from its id, its key or the end of its key (whole names of folders and file).

    Raises:
        InputMissing: no image has been ingested.
        UsageError: no image matches, or several do.
    """
    images_layer(project)
    same, ends = quoted(text), quoted(f"/{text}")
    where = f"key = {same} OR image_id::VARCHAR = {same} OR ends_with(key, {ends})"
    rows = (
        catalog_of(project.store).query(f"SELECT image_id, key FROM images WHERE {where} ORDER BY image_id").to_pylist()
    )
    matches = [(int(row["image_id"]), str(row["key"])) for row in rows]
    exact = [i for i, key in matches if text in (str(i), key)]
    if exact or len(matches) == 1:
        return exact[0] if exact else matches[0][0]
    fix = 'List the images with: pd sql "SELECT image_id, key FROM images"'
    count = f"the keys of {len(matches)} images end" if matches else "no image has this id, and no key ends"
    raise UsageError(f"{count} like this", repr(text), fix)


def sample_images(project: Project, count: int, seed: int) -> list[int]:
    """The ids of ``count`` random images, or of all images if there are fewer.

    Raises:
        InputMissing: no image has been ingested.
    """
    node = quoted(images_layer(project).node)
    found = catalog_of(project.store).query(f"SELECT image_id FROM images WHERE node = {node} ORDER BY image_id")
    ids = found.column("image_id").to_numpy()
    chosen = np.random.default_rng(seed).permutation(ids)[:count]
    return [int(i) for i in chosen]


def picture_of(project: Project, image_ids: Sequence[int], nodes: Sequence[str], cell_px: int) -> Image.Image:
    """A sheet with one row per image. Its columns are the image and each node that has masks of any of the images.

    Raises:
        InputMissing: an image has not been ingested, or its file cannot be read.
    """
    overlays = {name: [overlay_of(project, name, i) for i in image_ids] for name in nodes}
    shown = [name for name in nodes if any(o is not None and len(o.masks) for o in overlays[name])]
    rows = []
    for number, image_id in enumerate(image_ids):
        pixels, caption = image_of(project, image_id)
        cells = [Cell(overlays[name][number] or _nothing(pixels)) for name in shown]
        rows.append(Row(pixels, [Cell(caption=caption), *cells]))
    return draw_sheet(["image", *shown], rows, cell_px)


def images_layer(project: Project) -> Layer:
    """The layer of the node that writes images, with at least one block.

    Raises:
        InputMissing: no image has been ingested.
    """
    for node in project.nodes.values():
        if node.stage.output.name == "images":
            layer = project.shown(node.name)
            if layer.units():
                return layer
            raise InputMissing("no image has been ingested yet", node.name, f"Run: pd stage run {node.name}")
    raise UsageError("no node writes images", "pipeline", "Add the node ingest to the pipeline's file")


def image_of(project: Project, image_id: int, longest: int = LONGEST) -> tuple[np.ndarray, str]:
    """((H, W, 3) uint8 RGB with a longer side of at most ``longest``, where 0 is without a limit; caption).

    Raises:
        InputMissing: the image has not been ingested, or its file cannot be read.
    """
    layer, block = images_layer(project), image_id // project.store.info.block_size
    is_there = layer.newest_manifest(block) is not None
    rows = layer.read_images(block, [image_id], IMAGE_COLUMNS) if is_there else None
    if rows is None or not len(rows):
        fix = f'See why: pd sql "SELECT reason, detail FROM errors WHERE image_id = {image_id}"'
        raise InputMissing("this image was not ingested", f"image {image_id}", fix)
    key, name = str(rows["key"][0]), str(rows["class_name"][0])
    packed = rows.ragged("encoded")[0]
    data = packed or _file(project, key)
    try:
        if not packed:
            check_unchanged(data, str(rows["sha256"][0]))
        pixels = decode(data, frame=partial(frame_of, longest=longest), max_mb=decoded_mb(layer)).pixels
        return pixels, f"{image_id} · {name}" if name else f"{image_id} · {key}"
    except ImageFault as fault:
        if fault.reason == TOO_LARGE:
            raise UsageError(fault.detail, key) from None
        problem = f"the image is no longer as it was ingested: {fault!s}"
        raise InputMissing(problem, key, "Bring the file back") from None


def _file(project: Project, key: str) -> bytes:
    images = open_images(project.store, project.source.root)
    try:
        return images.read(key)
    except FileNotFoundError:
        fix = "Bring the file back. With ingest.copy=true, a store keeps copies of its images"
        raise InputMissing("the file of the image is missing", images.full(key), fix) from None


def overlay_of(project: Project, name: str, image_id: int) -> Overlay | None:
    """The masks that a node has of an image, at most ``MAX_MASKS``; None if there are none."""
    layer, block = project.shown(name), image_id // project.store.info.block_size
    if layer.newest_manifest(block) is None:
        return None
    names = without_vectors(layer.table)
    rows = layer.read_images(block, [image_id], names)
    rows = rows.take(np.argsort(-rows["score"], kind="stable")[:MAX_MASKS])
    if not len(rows):
        return None
    frame = frame_of(image_frames(rows)[image_id], LONGEST)
    stack = masks.decode_to(rows.ragged("rle"), mask_frames(rows), *frame)
    return Overlay(stack, mask_colours(rows), _caption(rows, project[name].stage.is_truth))


def _caption(rows: Rows, is_truth: bool) -> str:
    noun = {"labels": "label", "predictions": "part"}.get(rows.table.name, rows.table.name.rstrip("s"))
    count = f"{len(rows)} {noun}{'s' * (len(rows) != 1)}"
    if rows.table.name == "objects":
        return f"{count}: {', '.join(dict.fromkeys(rows['category_name'].tolist()))}"
    # Masks that people drew have no score.
    return count if is_truth else f"{count}, best score {float(rows['score'].max()):.2f}"


def _nothing(pixels: np.ndarray) -> Overlay:
    return Overlay(np.zeros((0, *pixels.shape[:2]), bool), (), "nothing")
