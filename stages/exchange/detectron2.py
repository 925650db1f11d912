"""The masks of a store as a detectron2 dataset, so that existing detectron2 trainers can read our labels.

    register("parts_train", store, "labels", "i.split = 'train' AND m.score > 0.5")

Then ``DatasetCatalog.get("parts_train")`` returns detectron2's standard dicts, and a configuration may name the dataset
in ``DATASETS.TRAIN``. Masks are run lengths: set ``INPUT.MASK_FORMAT`` to ``bitmask``.

Cost: no mask is read until detectron2 loads the dataset; then all of its dicts are in memory, as detectron2 has it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from pdstore import Layer, Store, layout
from pdstore.errors import UsageError
from pdstore.selection import Selection
from schemas.pipeline import SourceSpec
from stages.block import is_packed
from stages.exchange.choice import Choice, categories_of, image_layer, mask_layer
from stages.exchange.images import ImageMasks, block_images
from stages.source.key_paths import check_inside

__all__ = ["register", "thing_classes"]

_TABLES = ("objects", "parts", "labels", "predictions")
"""Tables of masks whose classes are known."""
WHERE = "detectron2 bridge"


def register(
    name: str,
    store: Store,
    node: str,
    where: str = "true",
    *,
    selection: Selection | None = None,
    folder: str | Path | None = None,
    classes: Sequence[str] | None = None,
) -> list[str]:
    """Register the masks of a node under ``name``. Returns the names of its classes, in the order of their ids.

    Args:
        node: a node that writes objects, parts, labels or predictions.
        where: SQL condition over the node's table ``m`` and the table of images ``i``.
        selection: take only the masks of these images, such as the selection of a training.
        folder: where packed images are written when the dataset is first loaded. A detectron2 dataset names files,
            and a store whose ingest has ``copy`` need not have any.
        classes: class names in the order of their ids, such as those of another dataset; by default all classes of
            the node.

    Raises:
        UsageError: detectron2 is not installed, ``name`` is taken, the node writes no such masks, the condition is
            wrong, the class of a mask is not among ``classes``, or images are packed and no ``folder`` is given.
    """
    try:
        from detectron2.data import DatasetCatalog, MetadataCatalog
    except ModuleNotFoundError as error:
        fix = "Install it as described at https://detectron2.readthedocs.io/tutorials/install.html"
        raise UsageError(f"the package {error.name} is not installed", WHERE, fix) from error
    if name in DatasetCatalog.list():
        fix = f"Choose another name, or first call DatasetCatalog.remove({name!r}) and MetadataCatalog.remove({name!r})"
        raise UsageError(f"the dataset name {name!r} is already taken", WHERE, fix)
    layer, images = mask_layer(store, node, WHERE, _TABLES), image_layer(store)
    root = _folder_of_files(store, images, folder)
    names = list(classes) if classes is not None else thing_classes(store, node)
    choice = Choice(layer, images, where, selection)
    if unlisted := choice.names() - set(names):
        fix = "Give all classes of the node: thing_classes(store, node)"
        raise UsageError(f"the class {min(unlisted)!r} of a mask is not among the classes given", WHERE, fix)

    def load() -> list[dict[str, Any]]:
        return list(_dicts(layer, images, choice, names, root))

    DatasetCatalog.register(name, load)
    MetadataCatalog.get(name).set(thing_classes=names, evaluator_type="coco")
    return names


def thing_classes(store: Store, node: str) -> list[str]:
    """All classes of a node's masks: object classes for ``objects``, otherwise "cat head", "cat part", "cat 3".

    They are in the order of the vocabulary; names outside it, such as person, come last.

    Raises:
        UsageError: the pipeline has no such node, or it does not write such masks.
    """
    return [category.name for category in categories_of(store, mask_layer(store, node, WHERE, _TABLES))]


def _folder_of_files(store: Store, images: Layer, folder: str | Path | None) -> Path:
    """The folder that keys are relative to: detectron2 reads files."""
    if is_packed(images):
        if folder is None:
            fix = "Name a folder to write them to: folder=DIR"
            raise UsageError("the images are packed in the store, and detectron2 needs files", WHERE, fix)
        return Path(folder)
    if store.files.exists(layout.TARS):
        fix = "Unpack them, or keep copies in the store: ingest.copy=true"
        raise UsageError("the images lie in tar files, and detectron2 needs files", WHERE, fix)
    return Path(SourceSpec.of(store).root)


def _dicts(layer: Layer, images: Layer, choice: Choice, names: Sequence[str], root: Path) -> Iterator[dict[str, Any]]:
    """One standard dict for each image that has a mask, block by block."""
    numbers, blocks = {name: number for number, name in enumerate(names)}, set(layer.units()) & set(images.units())
    with choice.open() as choose:
        for block in sorted(blocks):
            found = list(block_images(layer, images, block, choose, numbers, Counter()))
            files = _files(images, block, {int(image.image["image_id"]) for image in found}, root)
            for image in found:
                image_id, (height, width) = int(image.image["image_id"]), image.size
                record = {"file_name": files[image_id], "image_id": image_id, "height": height, "width": width}
                yield record | {"annotations": _annotations(image)}


def _annotations(image: ImageMasks) -> list[dict[str, Any]]:
    from detectron2.structures import BoxMode

    height, width = image.size
    boxes, categories = image.boxes.tolist(), image.categories.tolist()
    return [
        {
            "segmentation": {"size": [height, width], "counts": counts},
            "bbox": box,
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": category,
            "iscrowd": 0,
        }
        for counts, box, category in zip(image.rle, boxes, categories, strict=True)
    ]


def _files(images: Layer, block: int, wanted: set[int], root: Path) -> Mapping[int, str]:
    """image_id -> path of its file. Packed images are written to their files first, unless those exist."""
    rows = images.read(block, ["image_id", "key", *(["encoded"] if is_packed(images) else [])])
    paths = {}
    check_inside(rows["key"].tolist(), f"{images.node} block {block}")
    for number, (image_id, key) in enumerate(zip(rows["image_id"].tolist(), rows["key"].tolist(), strict=True)):
        if image_id not in wanted:
            continue
        paths[image_id] = str(root / key)
        if is_packed(images) and not (root / key).exists():
            _write_whole(root / key, bytes(rows.ragged("encoded")[number]))
    return paths


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: several workers may load the dataset at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    temporary.write_bytes(content)
    os.replace(temporary, path)
