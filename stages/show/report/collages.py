"""What the clusters of a class look like: for each cluster, crops of the parts that it has in a few images.

The images are the first in the store that have the part. Blocks are in random order, so they are a fair sample: nobody
has chosen the good ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from PIL import Image

from pdstore import Layer, masks
from pdstore.errors import InputMissing
from stages.kernels.crops import draw_crop, mosaic
from stages.mask_names import without_vectors
from stages.plan.project import Project
from stages.show.overlays import image_of
from stages.show.report.embedded import Picture, embedded
from stages.show.report.ladder import ancestors
from stages.show.report.watch import Monitors, Record

__all__ = ["Collage", "Collages", "Strip", "clustered_node", "read_collages"]

CROP_PX = 160
ACROSS, DOWN, GAP_PX = 2, 3, 4
MAX_CLUSTERS = 12
MAX_BLOCKS = 200
"""How many blocks are searched for images of each cluster."""
MAX_LISTED = 1000

Place = tuple[int, int]
"""(category_id, cluster)."""


@dataclass(frozen=True)
class Strip:
    """A cluster of a class.

    Attributes:
        name: of the part, if the model has learnt names; otherwise empty.
        masks: how many masks the node has of it. share: of the masks of the class, 0 to 1.
        mean_area: mean share of the image that a mask covers.
        silhouette: of the cluster, -1 to 1; None if it is not known.
        crops: how many crops the picture shows; None has been found if there is no picture.
    """

    cluster: int
    name: str
    masks: int
    share: float
    mean_area: float
    silhouette: float | None
    crops: int
    picture: Picture | None


@dataclass(frozen=True)
class Collage:
    """The clusters of a class, by number: all, or the ``MAX_CLUSTERS`` with the most masks."""

    class_name: str
    masks: int
    clusters: int
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class Collages:
    """The collages of the classes with the most masks.

    Attributes:
        node: whose masks are shown; empty if no node has masks with clusters.
        others: (class, masks, clusters) of up to ``MAX_LISTED`` further classes, those with the most masks first.
        total: number of all classes that have masks.
        missing: why some pictures could not be drawn; empty if all were.
    """

    node: str = ""
    shown: tuple[Collage, ...] = ()
    others: tuple[tuple[str, int, int], ...] = ()
    total: int = 0
    missing: str = ""


def clustered_node(project: Project, monitors: Monitors, preferred: Sequence[str] = ()) -> str:
    """The node whose clusters are shown: the last of ``preferred`` that has any, otherwise the last of the pipeline
    that does. Empty if there is none.

    Labels that exist only to give a score to an earlier stage come before the last labels in every preset.
    """
    found = [name for name in monitors.use if name in project.nodes]
    wanted = [name for name in preferred if name in found]
    return (wanted or found or [""])[-1]


def read_collages(project: Project, monitors: Monitors, node: str, count: int) -> Collages:
    """The collages of the ``count`` classes of which ``node`` has the most masks.

    Each image is decoded by itself, and only the crops of one class are in memory.
    """
    if not node:
        return Collages()
    rows = sorted(monitors.use[node], key=lambda row: row["category_id"])
    classes = [list(group) for _, group in groupby(rows, key=lambda row: row["category_id"])]
    classes.sort(key=lambda of_class: (-_masks(of_class), of_class[0]["category_id"]))
    chosen = [_largest(of_class) for of_class in classes[:count]]
    layer = project.shown(node)
    counts = {(row["category_id"], row["cluster"]): row["masks"] for largest in chosen for row in largest}
    images = _first_images(layer, counts)
    silhouettes = _silhouettes(project, monitors, node)
    missing: list[str] = []
    shown = []
    for of_class, largest in zip(classes, chosen, strict=False):
        crops, names = _crops(project, layer, of_class[0]["category_id"], largest, images, missing)
        strips = tuple(_strip(row, crops[row["cluster"]], names, silhouettes) for row in largest)
        shown.append(Collage(_name(of_class), _masks(of_class), len(of_class), strips))
    others = tuple((_name(of_class), _masks(of_class), len(of_class)) for of_class in classes[count:][:MAX_LISTED])
    return Collages(node, tuple(shown), others, len(classes), missing[0] if missing else "")


def _masks(rows: Iterable[Record]) -> int:
    return sum(row["masks"] for row in rows)


def _name(rows: Sequence[Record]) -> str:
    return str(rows[0]["class_name"]) or "other objects"


def _largest(rows: list[Record]) -> list[Record]:
    largest = sorted(rows, key=lambda row: (-row["masks"], row["cluster"]))[:MAX_CLUSTERS]
    return sorted(largest, key=lambda row: row["cluster"])


def _first_images(layer: Layer, wanted: Mapping[Place, int]) -> dict[Place, list[int]]:
    """For each cluster, the first images that have it. ``wanted``: how many masks there are of each.

    Only numbers are read, block by block, until every cluster has enough images.
    """
    found: dict[Place, list[int]] = {place: [] for place in wanted}
    seen = dict.fromkeys(wanted, 0)
    if not wanted:
        return found
    categories = np.array(sorted({category for category, _ in wanted}))
    for rows in layer.scan(["image_id", "category_id", "cluster"], layer.units()[:MAX_BLOCKS]):
        rows = rows.take(np.isin(rows["category_id"], categories))
        for image_id, *key in zip(*(rows[n].tolist() for n in ("image_id", "category_id", "cluster")), strict=True):
            place = (key[0], key[1])
            if place in found:
                seen[place] += 1
                if image_id not in found[place] and len(found[place]) < ACROSS * DOWN:
                    found[place].append(image_id)
        if all(len(found[place]) == ACROSS * DOWN or seen[place] >= wanted[place] for place in wanted):
            break
    return found


def _crops(
    project: Project, layer: Layer, category: int, rows: Sequence[Record], images: Mapping[Place, list[int]],
    missing: list[str],
) -> tuple[dict[int, list[Image.Image]], dict[int, str]]:  # fmt: skip
    """(cluster -> its crops, cluster -> the name that the model has learnt for it) of a class."""
    crops: dict[int, list[Image.Image]] = {row["cluster"]: [] for row in rows}
    names: dict[int, str] = {}
    for image_id in sorted({image_id for cluster in crops for image_id in images[category, cluster]}):
        try:
            pixels, _ = image_of(project, image_id)
        except InputMissing as error:
            missing.append(str(error))
            continue
        for cluster, name, mask in _masks_of(layer, project, image_id, category):
            if cluster in crops and image_id in images[category, cluster]:
                crops[cluster].append(draw_crop(pixels, mask, cluster, CROP_PX))
                names[cluster] = name
    return crops, names


def _masks_of(layer: Layer, project: Project, image_id: int, category: int) -> Iterable[tuple[int, str, Any]]:
    """(cluster, name, mask) of the largest mask of each cluster that a class has in an image."""
    names = without_vectors(layer.table)
    rows = layer.read_images(image_id // project.store.info.block_size, [image_id], names)
    rows = rows.take(np.flatnonzero((rows["category_id"] == category) & (rows["area"] > 0)))
    for index in rows.by("cluster").values():
        of_cluster = rows.take(index[np.argmax(rows["area"][index])][None])
        mask = masks.decode(of_cluster.ragged("rle"), int(of_cluster["height"][0]), int(of_cluster["width"][0]))[0]
        name = str(of_cluster["part_name"][0]) if "part_name" in of_cluster.columns else ""
        yield int(of_cluster["cluster"][0]), name, mask


def _silhouettes(project: Project, monitors: Monitors, node: str) -> dict[Place, float]:
    """The silhouettes of the clusters that a node's masks have."""
    rankings = [name for name in ancestors(project.pipeline, node) if name in monitors.clusters]
    rows = monitors.clusters[rankings[-1]] if rankings else []
    return {(row["category_id"], row["cluster"]): row["silhouette"] for row in rows if row["silhouette"] is not None}


def _strip(
    row: Record, crops: Sequence[Image.Image], names: Mapping[int, str], silhouettes: Mapping[Place, float]
) -> Strip:
    cluster = row["cluster"]
    picture = embedded(mosaic(crops, ACROSS, GAP_PX)) if crops else None
    silhouette = silhouettes.get((row["category_id"], cluster))
    name = names.get(cluster, "")
    return Strip(cluster, name, row["masks"], row["share"], row["mean_area"], silhouette, len(crops), picture)
