"""COCO panoptic: one PNG file per image, whose pixels are the numbers of segments, and a JSON file about them.

Where masks overlap, a pixel belongs to the one with the best score, and of equal ones to the first. Pixels of no mask
are 0. The number of a segment is that of its row among those of the image, from 1; an image has its ``id`` of
COCO instances.
Format: https://cocodataset.org/#format-data, section 4; https://github.com/cocodataset/panopticapi
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pdstore import masks
from pdstore.errors import UsageError
from stages.exchange.coco_text import category_records, join_blocks, write_block
from stages.exchange.formats import Source
from stages.exchange.images import ImageMasks
from stages.exchange.outputs import link
from stages.kernels.pictures import colour_of

__all__ = ["FOLDER", "NAME", "PanopticWriter", "segment_numbers", "writer"]

NAME, FOLDER = "panoptic.json", "panoptic"
"""The JSON file in the output folder, and the folder of its PNG files, which ``file_name`` is relative to."""
SEGMENTS = 256**3
"""A number is R + 256 G + 65536 B."""
_HIDDEN = "hidden by masks with a better score"


def writer(source: Source) -> PanopticWriter:
    return PanopticWriter(source)


class PanopticWriter:
    """The PNG files of a block are in a folder of their own, because file systems are slow with a million in one."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def block(self, images: Iterable[ImageMasks], folder: Path) -> Mapping[str, int]:
        hidden = 0

        def drawn() -> Iterator[tuple[ImageMasks, list[Mapping[str, Any]]]]:
            nonlocal hidden
            for image in images:
                name, numbers = f"{int(image.image['image_id']):012d}.png", segment_numbers(image)
                segments = _segments(image, numbers)
                hidden += len(image) - len(segments)
                colours = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], 2).astype(np.uint8)
                Image.fromarray(colours).save(folder / name)
                record = {"image_id": int(image.image["image_id"]), "file_name": f"{folder.name}/{name}"}
                yield image, [record | {"segments_info": segments}]

        write_block(folder, drawn())
        return {_HIDDEN: hidden}

    def finish(self, blocks: Sequence[Path], out: Path) -> None:
        categories = [
            record | {"isthing": 1, "color": list(colour_of(number))}
            for number, record in enumerate(category_records(self._source.categories))
        ]
        out.mkdir()
        join_blocks(self._source, categories, blocks, out / NAME)
        for folder in blocks:
            target = out / FOLDER / folder.name
            target.mkdir(parents=True)
            for path in folder.glob("*.png"):
                link(path, target / path.name)


def segment_numbers(image: ImageMasks) -> npt.NDArray[np.int32]:
    """(H, W) int32: the number of the segment of each pixel, 0 for none. One mask is decoded at a time.

    Raises:
        UsageError: the image has more masks than PNG files have colours.
    """
    numbers = np.zeros(image.size, np.int32)
    if len(image) and image.numbers[-1] + 1 >= SEGMENTS:
        raise UsageError(f"the image has {SEGMENTS} masks or more", str(image.image["key"]), "Leave it out: --where")
    for n in np.argsort(-image.rows["score"], kind="stable")[::-1].tolist():
        numbers[masks.decode_one(image.rle[n], *image.size)] = image.numbers[n] + 1
    return numbers


def _segments(image: ImageMasks, numbers: npt.NDArray[np.int32]) -> list[dict[str, Any]]:
    """The segments of which a pixel is seen, in the order of the rows."""
    row_of, found = {int(number) + 1: n for n, number in enumerate(image.numbers)}, []
    for number in np.unique(numbers[numbers > 0]).tolist():
        seen, n = numbers == number, row_of[number]
        y, x = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        box = [int(x[0]), int(y[0]), int(x[-1] - x[0] + 1), int(y[-1] - y[0] + 1)]
        record = {"id": number, "category_id": int(image.categories[n]) + 1, "area": int(seen.sum()), "bbox": box}
        found.append(record | {"iscrowd": 0, "score": round(float(image.rows["score"][n]), 6)})
    return found
