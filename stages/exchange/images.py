"""The chosen masks of a node as formats read them: image by image, block by block, in original image pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Layer, Ragged, Rows, runs
from stages.exchange.choice import OfBlock
from stages.mask_names import without_vectors
from stages.source.frames import masks_at
from stages.source.key_paths import check_inside

__all__ = ["ImageMasks", "block_images"]


@dataclass(frozen=True, eq=False)
class ImageMasks:
    """One image and its M chosen masks, in the order of the node's rows.

    Attributes:
        image: the image's row of ``images``: key, split, class_id, class_name, height, width, ….
        rows: the masks' rows, with the scalar columns as they are stored: ``area``, ``height`` and ``width`` are those
            of the frame.
        rle: M run-length strings of the masks in original image pixels, none of them empty.
        areas: (M,) int64, pixels of each. boxes: (M, 4) float32, x0, y0, width, height of each, in pixels.
        categories: (M,) int64, position of each mask's class in the list of categories.
        numbers: (M,) int64, position of each row among all rows that the node has of this image: it does not depend on
            what is chosen, so that with the image it names the row.
    """

    image: Mapping[str, Any]
    rows: Rows
    rle: Ragged
    areas: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    categories: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the original image, in pixels."""
        return int(self.image["height"]), int(self.image["width"])

    def __len__(self) -> int:
        return len(self.rows)


def block_images(
    layer: Layer,
    images: Layer,
    block: int,
    choose: OfBlock,
    numbers_of: Mapping[str, int],
    left_out: Counter[str],
    *,
    only: npt.NDArray[np.int64] | None = None,
    with_empty: bool = False,
) -> Iterator[ImageMasks]:
    """The images of a block that have a chosen mask, by rising ``image_id``. Only this block is in memory.

    Args:
        numbers_of: name of a category -> its position in the list of categories.
        left_out: counts, by reason, what is left out.
        only: the images of the selection; None is all of them.
        with_empty: also the images without a chosen mask, of ``only`` if it is given.
    """
    wanted = without_vectors(layer.table)
    rows = layer.read(block, wanted)
    image_rows = images.read(block, [c.name for c in images.table.scalars])
    chosen, names = choose(rows, image_rows)
    left_out["empty mask"] += int((rows["area"] == 0).sum())
    left_out["mask not chosen"] += int((rows["area"] > 0).sum()) - len(chosen)
    categories = np.array([numbers_of[name] for name in names], np.int64)
    positions, picked = _positions(rows["image_id"]), rows.take(chosen)
    of_image = picked.by("image_id")
    columns = {name: image_rows[name].tolist() for name in image_rows.columns}
    for name in ("key", "split", "wnid"):
        # They become paths of files that are written.
        check_inside(filter(None, columns[name]), f"{images.node} block {block}, {name}")
    for index, image_id in enumerate(columns["image_id"]):
        own = of_image.get(image_id, np.zeros(0, np.int64))
        if not len(own) and (not with_empty or (only is not None and image_id not in only)):
            left_out["image without a chosen mask"] += 1
            continue
        image = {name: values[index] for name, values in columns.items()}
        record = picked.take(own)
        rle = masks_at(record, (image["height"], image["width"]))
        found = runs.read(rle, image["height"], image["width"])
        # A mask of few pixels may have none left after its frame is scaled to a smaller image.
        kept = runs.areas(found) > 0
        if not kept.all():
            left_out["empty mask"] += int((~kept).sum())
            own, record, rle, found = own[kept], record.take(kept), rle.take(kept), found.take(kept)
            if not len(own) and not with_empty:
                continue
        areas, boxes = runs.areas(found), runs.boxes(found)
        yield ImageMasks(image, record, rle, areas, boxes, categories[own], positions[chosen[own]])


def _positions(image_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(N,) int64: how many rows of the same image come before each row."""
    order = np.argsort(image_ids, kind="stable")
    ordered = image_ids[order]
    starts = np.searchsorted(ordered, ordered, "left")
    positions = np.empty(len(image_ids), np.int64)
    positions[order] = np.arange(len(image_ids)) - starts
    return positions
