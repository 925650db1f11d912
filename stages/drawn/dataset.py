"""The demo's data set on disk: JPEG files in the ImageNet layout, ``labels.txt``, and ground truth as COCO JSON."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image

from pdstore import masks
from stages.drawn.draw import SIZE_PX, draw
from stages.drawn.drawings import DRAWINGS
from stages.drawn.presence import ANNOTATIONS, SHAPES, dataset_info, is_present
from stages.drawn.shapes import ObjectClass

__all__ = ["DemoImage", "demo_images", "write_dataset"]

JPEG_QUALITY = 95


@dataclass(frozen=True)
class DemoImage:
    """One image of the data set; ``key`` is its path under the folder."""

    index: int
    key: str
    wnid: str
    class_name: str


def demo_images(num_train: int = 900, num_val: int = 180, drawing: str = SHAPES) -> list[DemoImage]:
    """Every image of the data set: classes take turns, and the training split comes first."""
    images, classes = [], DRAWINGS[drawing].classes
    for index in range(num_train + num_val):
        drawable = classes[index % len(classes)]
        split, wnid = "train" if index < num_train else "val", drawable.wnid
        images.append(DemoImage(index, f"{split}/{wnid}/{wnid}_{index}.JPEG", wnid, drawable.name))
    return images


def write_dataset(folder: Path, seed: int, num_train: int = 900, num_val: int = 180, drawing: str = SHAPES) -> None:
    """Draw the data set into ``folder``, unless the same one (drawing, seed, numbers of images) is complete there.

    Each file is written whole or not at all, and ``annotations.json`` last, so a killed call can simply be repeated.
    """
    info, target = dataset_info(seed, num_train, num_val, drawing), folder / ANNOTATIONS
    if is_present(folder, info):
        return
    target.unlink(missing_ok=True)
    images = demo_images(num_train, num_val, drawing)
    for parent in {(folder / image.key).parent for image in images}:
        parent.mkdir(parents=True, exist_ok=True)
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        truths = list(pool.map(partial(_write_image, folder, seed, drawing), images, chunksize=32))
    _write(
        folder / "labels.txt",
        "".join(f"{drawable.wnid},{drawable.name}\n" for drawable in DRAWINGS[drawing].classes).encode(),
    )
    categories = _CATEGORY_IDS[drawing]
    _write(target, json.dumps(_coco(images, truths, info, categories)).encode())


def _write_image(folder: Path, seed: int, drawing: str, image: DemoImage) -> list[dict[str, Any]]:
    """Draw one image and write it as a JPEG. Returns its annotations, which have no ids yet."""
    drawn = draw(seed, image.index, image.wnid, drawing)
    buffer = io.BytesIO()
    Image.fromarray(drawn.image).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    _write(folder / image.key, buffer.getvalue())
    annotations = []
    for name, part, mask in drawn.parts:
        rle = masks.encode(mask[None])
        annotations.append(
            {
                "image_id": image.index,
                "category_id": _CATEGORY_IDS[drawing][name, part],
                "segmentation": {"size": [SIZE_PX, SIZE_PX], "counts": rle[0].decode("ascii")},
                "area": int(mask.sum()),
                "bbox": masks.boxes(rle, SIZE_PX, SIZE_PX)[0].tolist(),
                "iscrowd": 0,
            }
        )
    return annotations


def _category_ids(drawables: Iterable[ObjectClass]) -> dict[tuple[str, str], int]:
    pairs = [(drawable.name, part) for drawable in drawables for part in drawable.colours]
    return {pair: number for number, pair in enumerate(pairs)}


_CATEGORY_IDS = {name: _category_ids((*subjects.classes, subjects.person)) for name, subjects in DRAWINGS.items()}
"""Drawing -> (class name, part name) -> category id of the ground truth."""


def _coco(
    images: list[DemoImage],
    truths: list[list[dict[str, Any]]],
    info: dict[str, int | str],
    categories: dict[tuple[str, str], int],
) -> dict[str, Any]:
    flat = [annotation for truth in truths for annotation in truth]
    return {
        "info": info,
        "images": [{"id": i.index, "file_name": i.key, "height": SIZE_PX, "width": SIZE_PX} for i in images],
        "annotations": [{"id": number, **annotation} for number, annotation in enumerate(flat)],
        "categories": [
            {"id": number, "name": f"{name} {part}".title(), "supercategory": name}
            for (name, part), number in categories.items()
        ],
    }


def _write(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    temporary.write_bytes(content)
    os.replace(temporary, path)
