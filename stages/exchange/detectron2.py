"""The masks of a store as a detectron2 dataset, so that existing detectron2 trainers can read our labels.

    register("parts_train", store, "labels", "i.split = 'train' AND m.score > 0.5")

Then ``DatasetCatalog.get("parts_train")`` returns detectron2's standard dicts, and a configuration may name the dataset
in ``DATASETS.TRAIN``. Masks are run lengths: set ``INPUT.MASK_FORMAT`` to ``bitmask``.

Cost: no mask is read until detectron2 loads the dataset; then all of its dicts are in memory, as detectron2 has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa

from pdstore import Catalog, Layer, Rows, Store, layout, runs
from pdstore.errors import UsageError, nearest
from pdstore.inventory import shown_layers
from pdstore.selection import Selection
from schemas.catalog import catalog_of
from schemas.pipeline import SourceSpec
from schemas.tables import TABLES
from stages.source.frames import Size, image_frames, masks_at

__all__ = ["register", "thing_classes"]

_KEYS = {"objects": "object_id", "parts": "part_id", "labels": "label_id", "predictions": "label_id"}
"""Table -> the column that numbers the rows of an object; for ``objects``, the rows of an image."""
_CLASSES = """(
        SELECT class_id, class_name || CASE WHEN count(*) OVER (PARTITION BY class_name) > 1
            THEN ' (' || wnid || ')' ELSE '' END AS class_name
        FROM classes)"""
"""The vocabulary in SQL; classes that share a name have their external id added to it."""
_OF_CLUSTER = "coalesce(c.class_name, 'person') || ' ' || m.cluster"
_NAMES = {
    "objects": "coalesce(c.class_name, m.category_name)",
    "parts": "coalesce(c.class_name, m.category_name) || ' ' || coalesce(nullif(m.part_name, ''), 'part')",
    "labels": _OF_CLUSTER,
    "predictions": _OF_CLUSTER,
}
"""Table -> the name of a row's class in SQL, over the table ``m`` and the vocabulary ``c``."""
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
    layer, images = _layer(store, node), _images(store)
    root = _folder_of_files(store, images, folder)
    names = list(classes) if classes is not None else thing_classes(store, node)
    chosen = _chosen(store, layer, where, names, selection)

    def load() -> list[dict[str, Any]]:
        return list(_dicts(layer, images, chosen, root))

    DatasetCatalog.register(name, load)
    MetadataCatalog.get(name).set(thing_classes=names, evaluator_type="coco")
    return names


def thing_classes(store: Store, node: str) -> list[str]:
    """All classes of a node's masks: object classes for ``objects``, otherwise "cat head", "cat part", "cat 3".

    They are in the order of the vocabulary; names outside it, such as person, come last.

    Raises:
        UsageError: the pipeline has no such node, or it does not write such masks.
    """
    table = _layer(store, node).table.name
    number = "m.cluster" if "cluster" in TABLES[table].names else "0"
    sql = f"""
        SELECT {_NAMES[table]} AS name FROM {table} m LEFT JOIN {_CLASSES} c ON c.class_id = m.category_id
        WHERE m.node = '{node}' GROUP BY name
        ORDER BY min(m.category_id) < 0, min(m.category_id), min({number}), name"""
    return [str(name) for name in _catalog(store).query(sql).column("name").to_pylist()]


def _layer(store: Store, node: str) -> Layer:
    """The layer that the views show of a node that writes masks of known classes."""
    shown = shown_layers(store)
    if node not in shown:
        raise UsageError(f"the pipeline has no node {node!r}", WHERE, nearest(node, shown))
    layer = store.layer(node, shown[node])
    if layer.table.name not in _KEYS:
        tables = list(_KEYS)
        problem = f"expected a node that writes {', '.join(tables[:-1])} or {tables[-1]}, found {node}"
        raise UsageError(f"{problem}, which writes {layer.table.name}", WHERE, "Name another node")
    return layer


def _images(store: Store) -> Layer:
    layers = (store.layer(node, fingerprint) for node, fingerprint in shown_layers(store).items() if store.layers(node))
    return next(layer for layer in layers if layer.table.name == "images")


def _folder_of_files(store: Store, images: Layer, folder: str | Path | None) -> Path:
    """The folder that keys are relative to: detectron2 reads files."""
    if _is_packed(images):
        if folder is None:
            fix = "Name a folder to write them to: folder=DIR"
            raise UsageError("the images are packed in the store, and detectron2 needs files", WHERE, fix)
        return Path(folder)
    if store.files.exists(layout.TARS):
        fix = "Unpack them, or keep copies in the store: ingest.copy=true"
        raise UsageError("the images lie in tar files, and detectron2 needs files", WHERE, fix)
    return Path(SourceSpec.of(store).root)


def _is_packed(images: Layer) -> bool:
    return bool(images.info.identity.settings.get("copy", False))


def _catalog(store: Store) -> Catalog:
    return catalog_of(store)


def _chosen(store: Store, layer: Layer, where: str, names: Sequence[str], selection: Selection | None) -> pa.Table:
    """(image_id, object_id, number, category) of every chosen mask, in order. Empty masks are left out."""
    table = layer.table.name
    images = _images(store)
    sql = f"""
        SELECT m.image_id, m.object_id, m.{_KEYS[table]} AS number, {_NAMES[table]} AS name
        FROM {table} m LEFT JOIN {_CLASSES} c ON c.class_id = m.category_id
        JOIN images i ON i.image_id = m.image_id AND i.node = '{images.node}'
        WHERE m.node = '{layer.node}' AND m.area > 0 AND ({where}) ORDER BY 1, 2, 3"""
    chosen = _catalog(store).query(sql)
    if selection is not None:
        chosen = chosen.filter(pa.array(np.isin(chosen.column("image_id").to_numpy(), selection.image_ids)))
    numbers = {name: number for number, name in enumerate(names)}
    categories = [numbers.get(name) for name in chosen.column("name").to_pylist()]
    if None in categories:
        unlisted = chosen.column("name")[categories.index(None)].as_py()
        fix = "Give all classes of the node: thing_classes(store, node)"
        raise UsageError(f"the class {unlisted!r} of a mask is not among the classes given", WHERE, fix)
    return chosen.drop_columns("name").append_column("category", pa.array(categories, pa.int64()))


def _dicts(layer: Layer, images: Layer, chosen: pa.Table, root: Path) -> Iterator[dict[str, Any]]:
    """One standard dict for each image that has a mask, block by block."""
    size = layer.store.info.block_size
    ids, objects, numbers, categories = (chosen.column(n).to_numpy() for n in chosen.column_names)
    category_of = dict(zip(zip(ids.tolist(), objects.tolist(), numbers.tolist(), strict=True), categories, strict=True))
    for block in np.unique(ids // size).tolist():
        column = _KEYS[layer.table.name]
        rows = layer.read(block, dict.fromkeys(["image_id", "object_id", column, "height", "width", "rle"]))
        keys = list(zip(*(rows[name].tolist() for name in ("image_id", "object_id", column)), strict=True))
        rows = rows.take([number for number, key in enumerate(keys) if key in category_of])
        row_categories = [int(category_of[key]) for key in keys if key in category_of]
        files = _files(images, block, set(rows["image_id"].tolist()), root)
        sizes = image_frames(images.read(block, ["image_id", "height", "width"]))
        for image_id, index in rows.by("image_id").items():
            # detectron2 reads the image file, so masks are brought to its pixels.
            height, width = sizes[image_id]
            annotations = _annotations(rows.take(index), [row_categories[i] for i in index], (height, width))
            record = {"file_name": files[image_id], "image_id": image_id, "height": height, "width": width}
            yield record | {"annotations": annotations}


def _annotations(rows: Rows, categories: Sequence[int], size: Size) -> list[dict[str, Any]]:
    from detectron2.structures import BoxMode

    height, width = size
    rle = masks_at(rows, size)
    return [
        {
            "segmentation": {"size": [height, width], "counts": bytes(rle[number])},
            "bbox": box,
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": categories[number],
            "iscrowd": 0,
        }
        for number, box in enumerate(runs.boxes(runs.read(rle, height, width)).tolist())
    ]


def _files(images: Layer, block: int, wanted: set[int], root: Path) -> Mapping[int, str]:
    """image_id -> path of its file. Packed images are written to their files first, unless those exist."""
    rows = images.read(block, ["image_id", "key", *(["encoded"] if _is_packed(images) else [])])
    paths = {}
    for number, (image_id, key) in enumerate(zip(rows["image_id"].tolist(), rows["key"].tolist(), strict=True)):
        if image_id not in wanted:
            continue
        paths[image_id] = str(root / key)
        if _is_packed(images) and not (root / key).exists():
            _write_whole(root / key, bytes(rows.ragged("encoded")[number]))
    return paths


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: several workers may load the dataset at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    temporary.write_bytes(content)
    os.replace(temporary, path)
