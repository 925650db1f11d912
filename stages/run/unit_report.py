"""What a committed unit adds to a report besides counts: pictures of its images, scores, sizes of clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pdstore import Layer, Rows, masks
from stages.kernels.pictures import draw_shares, fitted
from stages.mask_names import mask_colours, mask_names, without_vectors
from stages.source.frames import mask_frames
from stages.source.images import ImageFault
from stages.track.masked_picture import MaskedPicture, MaskGroup
from stages.track.tracker import Table
from stages.unit import Unit

__all__ = ["cluster_drawing", "cluster_numbers", "cluster_table", "pictures", "score_table", "scores"]

SHOWN_PX = 512
MAX_MASKS = 100
DRAWN_CLASSES = 24
NAMED_CLASSES = 25
"""In a store with more classes the names of parts have no class: W&B shows at most 255 names."""
SHOWN_INPUTS = ("parts", "segments", "objects")
"""Of which role the masks are shown beside those of the node itself: the first of these that it has."""


def pictures(
    unit: Unit, layer: Layer, every: int, class_names: Mapping[int, str]
) -> Iterator[tuple[int, MaskedPicture]]:
    """(position in the block, picture) of about one in ``every`` images of a committed block, from what is committed.

    It is the first image with rows from each multiple of ``every`` on, so that nodes show the same images. Only one
    picture is in memory at a time, and one block of rows per node. A node without masks has none, but for the images.
    """
    if not {"rle", "key"} & set(layer.table.names):
        return
    own = layer.read(unit.number, without_vectors(layer.table))
    first = unit.number * layer.store.info.block_size
    chosen = _chosen(np.unique(own["image_id"]).tolist(), first, every)
    if not chosen:
        return
    if "images" not in unit.layers:
        unit.layers = {**unit.layers, "images": [layer]}
    block, shown = unit.own_block, [(layer.node, own)] if "rle" in own.columns else []
    role = next((role for role in SHOWN_INPUTS if shown and unit.layers.get(role)), None)
    for source in unit.layers[role] if role else ():
        shown.append((source.node, source.read(unit.number, without_vectors(source.table))))
    load, names = block.loader(block.frames(2 * SHOWN_PX)), class_names if len(class_names) <= NAMED_CLASSES else {}
    for image_id in chosen:
        try:
            pixels = load(image_id).pixels
        except (ImageFault, OSError):
            continue
        small = _shrunk(pixels)
        groups = [_group(node, rows.take(rows["image_id"] == image_id), small.shape, names) for node, rows in shown]
        yield image_id - first, MaskedPicture(small, groups, _caption(block.keys, block.classes, image_id))


def scores(rows: Rows) -> dict[str, float]:
    """Numbers about all classes in rows of ``metrics``: ``eval/honest/AR@200``.

    Where several nodes were scored, the names for all but the first (the one with clusters) have the node in them:
    ``eval/honest/proposals/AR@200``.
    """
    first = rows["evaluated"][0] if len(rows) else ""
    numbers = {}
    for node, protocol, metric, class_name, value in _metrics(rows):
        if not class_name:
            path = ["eval", protocol] if protocol in ("honest", "reference") else [protocol]
            numbers["/".join([*path, *([node] if node != first else []), metric])] = value
    return numbers


def score_table(rows: Rows) -> Table:
    """The numbers about one class or part."""
    columns = ("evaluated", "protocol", "class_name", "part_name", "metric", "value")
    lines = zip(*(rows[column].tolist() for column in columns), strict=True)
    return Table(columns, [line for line in lines if line[2]])


def cluster_numbers(rows: Rows) -> dict[str, float]:
    """Means over the classes in rows of ``clusters``, and how many classes there are."""
    sizes = [rows["size"][chosen] for chosen in rows.by("category_id").values()]
    numbers = {"clusters/classes": float(len(sizes)), "clusters/segments": float(rows["size"].sum())}
    if sizes:
        numbers["clusters/largest_ratio"] = float(np.mean([own.max() / max(1, own.sum()) for own in sizes]))
    known = rows["silhouette"][np.isfinite(rows["silhouette"])]
    return numbers | ({"clusters/silhouette": float(known.mean())} if len(known) else {})


def cluster_table(rows: Rows, class_names: Mapping[int, str]) -> Table:
    """Rows of ``clusters`` with the names of their classes."""
    columns = ("cluster", "size", "mean_distance", "silhouette")
    names = [class_names.get(number, str(number)) for number in rows["category_id"].tolist()]
    return Table(
        ("class_name", *columns), list(zip(names, *(rows[column].tolist() for column in columns), strict=True))
    )


def cluster_drawing(rows: Rows, class_names: Mapping[int, str]) -> Image.Image:
    """One bar per class, divided by the sizes of its clusters, in the colours that the clusters have in pictures."""
    bars = []
    for category_id, chosen in list(rows.by("category_id").items())[:DRAWN_CLASSES]:
        own = rows.take(chosen)
        sizes = dict(zip(own["cluster"].tolist(), own["size"].tolist(), strict=True))
        bars.append((class_names.get(int(category_id), str(category_id)), sizes))
    return draw_shares(bars)


def _chosen(image_ids: Sequence[int], first: int, every: int) -> list[int]:
    """The first of the ascending ids in each window of ``every`` that begins in the block."""
    chosen: dict[int, int] = {}
    for image_id in image_ids:
        if image_id - image_id % every >= first:
            chosen.setdefault(image_id // every, image_id)
    return list(chosen.values())


def _shrunk(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize(fitted(pixels, SHOWN_PX), Image.Resampling.LANCZOS))


def _group(node: str, rows: Rows, shape: Sequence[int], class_names: Mapping[int, str]) -> MaskGroup:
    """The masks of one image, best on top, at the size of the picture."""
    order = np.argsort(-rows["score"], kind="stable") if "score" in rows.columns else np.arange(len(rows))
    rows = rows.take(order[:MAX_MASKS])
    top = np.full(shape[:2], -1, np.int16)
    stack = masks.decode_to(rows.ragged("rle"), mask_frames(rows), shape[0], shape[1])
    for number in range(len(rows) - 1, -1, -1):
        top[stack[number]] = number
    return MaskGroup(node, top, mask_names(rows, class_names), mask_colours(rows))


def _caption(keys: Mapping[int, str], classes: Mapping[int, tuple[int, str]], image_id: int) -> str:
    return f"{image_id} · {classes[image_id][1] or keys[image_id]}"


def _metrics(rows: Rows) -> Iterator[tuple[Any, ...]]:
    columns = ("evaluated", "protocol", "metric", "class_name", "value")
    return zip(*(rows[column].tolist() for column in columns), strict=True)
