"""The masks of a store as a detectron2 dataset, so that existing detectron2 trainers read our labels.

    register("parts_train", store, "labels", "i.split = 'train' AND m.score > 0.5")

Then ``DatasetCatalog.get("parts_train")`` gives detectron2's standard dicts, and a configuration may name the dataset
in ``DATASETS.TRAIN``. Masks are run lengths: set ``INPUT.MASK_FORMAT`` to ``bitmask``.

Cost: nothing is read before the dataset is asked for; then all its dicts are in memory, which is detectron2's way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa

from pdstore import Catalog, Layer, Rows, Store, masks
from pdstore.errors import UsageError, nearest
from pdstore.selection import Selection
from schemas.catalog import catalog_of
from schemas.pipeline import SourceSpec
from schemas.tables import TABLES

__all__ = ["register", "thing_classes"]

_KEYS = {"objects": "object_id", "parts": "part_id", "labels": "label_id", "predictions": "label_id"}
"""Table -> what tells the rows of one object apart; of ``objects``, those of one image."""
_CLASSES = """(
        SELECT class_id, class_name || CASE WHEN count(*) OVER (PARTITION BY class_name) > 1
            THEN ' (' || wnid || ')' ELSE '' END AS class_name
        FROM classes)"""
"""The vocabulary in SQL; of two classes with one name each has its external id beside it."""
_OF_CLUSTER = "coalesce(c.class_name, 'person') || ' ' || m.cluster"
_NAMES = {
    "objects": "coalesce(c.class_name, m.category_name)",
    "parts": "coalesce(c.class_name, m.category_name) || ' ' || coalesce(nullif(m.part_name, ''), 'part')",
    "labels": _OF_CLUSTER,
    "predictions": _OF_CLUSTER,
}
"""Table -> the name of a row's class in SQL, of the table ``m`` and the vocabulary ``c``."""
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
    """Register the masks of a node under ``name``; returns the names of its classes, in the order of their ids.

    Args:
        node: of table objects, parts, labels or predictions.
        where: SQL condition over the node's table ``m`` and the table of images ``i``.
        selection: take the masks of these images only, such as those that a training was frozen on.
        folder: where packed images are written when the dataset is first asked for. A dataset of detectron2 names
            files, and a store whose ingest has ``copy`` may have none.
        classes: names in the order of their ids, such as those of another dataset; all of the node's unless given.

    Raises:
        UsageError: detectron2 is not installed, ``name`` is taken, the node has no masks, the condition is wrong, a
            mask's class is not among ``classes``, or images are packed and no ``folder`` is given.
    """
    try:
        from detectron2.data import DatasetCatalog, MetadataCatalog
    except ModuleNotFoundError as error:
        fix = "Install it by https://detectron2.readthedocs.io/tutorials/install.html"
        raise UsageError(f"expected the package {error.name}, found none", WHERE, fix) from error
    if name in DatasetCatalog.list():
        fix = f"Choose another, or first DatasetCatalog.remove({name!r}) and MetadataCatalog.remove({name!r})"
        raise UsageError(f"expected a name that is free, found {name!r}", WHERE, fix)
    layer, images = _layer(store, node), _images(store)
    root = Path(SourceSpec.of(store).root)
    if _is_packed(images):
        if folder is None:
            fix = "Say where they may be written: folder=DIR"
            raise UsageError("expected a folder for the packed images, found none", WHERE, fix)
        root = Path(folder)
    names = list(classes) if classes is not None else thing_classes(store, node)
    chosen = _chosen(store, layer, where, names, selection)

    def load() -> list[dict[str, Any]]:
        return list(_dicts(layer, images, chosen, root))

    DatasetCatalog.register(name, load)
    MetadataCatalog.get(name).set(thing_classes=names, evaluator_type="coco")
    return names


def thing_classes(store: Store, node: str) -> list[str]:
    """All classes of a node's masks: those of ``objects`` are object classes, else "cat head", "cat part", "cat 3".

    In the vocabulary's order; words outside it, such as person, come last.

    Raises:
        UsageError: the node has no masks.
    """
    table = _layer(store, node).table.name
    number = "m.cluster" if "cluster" in TABLES[table].names else "0"
    sql = f"""
        SELECT {_NAMES[table]} AS name FROM {table} m LEFT JOIN {_CLASSES} c ON c.class_id = m.category_id
        WHERE m.node = '{node}' GROUP BY name
        ORDER BY min(m.category_id) < 0, min(m.category_id), min({number}), name"""
    return [str(name) for name in _catalog(store).query(sql).column("name").to_pylist()]


def _layer(store: Store, node: str) -> Layer:
    """The current layer of a node that writes masks of known classes."""
    current = store.current()
    if node not in current:
        raise UsageError(f"expected a node of the pipeline, found {node!r}", WHERE, nearest(node, current))
    layer = store.layer(node, current[node])
    if layer.table.name not in _KEYS:
        raise UsageError(f"expected a node that writes {', '.join(_KEYS)}, found {node} ({layer.table.name})", WHERE)
    return layer


def _images(store: Store) -> Layer:
    layers = (store.layer(node, fingerprint) for node, fingerprint in store.current().items() if store.layers(node))
    return next(layer for layer in layers if layer.table.name == "images")


def _is_packed(images: Layer) -> bool:
    return bool(images.info.identity.settings.get("copy", False))


def _catalog(store: Store) -> Catalog:
    return catalog_of(store)


def _chosen(store: Store, layer: Layer, where: str, names: Sequence[str], selection: Selection | None) -> pa.Table:
    """(image_id, object_id, number, category) of every mask that is wanted, in order; empty masks are left out."""
    table = layer.table.name
    images = _images(store)
    sql = f"""
        SELECT m.image_id, m.object_id, m.{_KEYS[table]} AS number, {_NAMES[table]} AS name
        FROM {table} m LEFT JOIN {_CLASSES} c ON c.class_id = m.category_id
        JOIN images i ON i.image_id = m.image_id AND i.node = '{images.node}'
        WHERE m.node = '{layer.node}' AND m.area > 0 AND ({where}) ORDER BY 1, 2, 3"""
    found = _catalog(store).query(sql)
    if selection is not None:
        found = found.filter(pa.array(np.isin(found.column("image_id").to_numpy(), selection.image_ids)))
    numbers = {name: number for number, name in enumerate(names)}
    categories = [numbers.get(name) for name in found.column("name").to_pylist()]
    if None in categories:
        strange = found.column("name")[categories.index(None)].as_py()
        fix = "Give the classes of the whole node: thing_classes(store, node)"
        raise UsageError(f"expected masks of the classes that are given, found {strange!r}", WHERE, fix)
    return found.drop_columns("name").append_column("category", pa.array(categories, pa.int64()))


def _dicts(layer: Layer, images: Layer, chosen: pa.Table, root: Path) -> Iterator[dict[str, Any]]:
    """One standard dict an image that has a mask, block by block."""
    size = layer.store.info.block_size
    ids, objects, numbers, categories = (chosen.column(n).to_numpy() for n in chosen.column_names)
    wanted = dict(zip(zip(ids.tolist(), objects.tolist(), numbers.tolist(), strict=True), categories, strict=True))
    for block in np.unique(ids // size).tolist():
        key = _KEYS[layer.table.name]
        rows = layer.read(block, dict.fromkeys(["image_id", "object_id", key, "height", "width", "rle"]))
        keys = list(zip(*(rows[name].tolist() for name in ("image_id", "object_id", key)), strict=True))
        rows = rows.take([number for number, key in enumerate(keys) if key in wanted])
        own = [int(wanted[key]) for key in keys if key in wanted]
        files = _files(images, block, set(rows["image_id"].tolist()), root)
        for image_id, index in rows.by("image_id").items():
            annotations = _annotations(rows.take(index), [own[i] for i in index])
            height, width = int(rows["height"][index[0]]), int(rows["width"][index[0]])
            record = {"file_name": files[image_id], "image_id": image_id, "height": height, "width": width}
            yield record | {"annotations": annotations}


def _annotations(rows: Rows, categories: Sequence[int]) -> list[dict[str, Any]]:
    from detectron2.structures import BoxMode

    height, width = int(rows["height"][0]), int(rows["width"][0])
    rle = rows.ragged("rle")
    return [
        {
            "segmentation": {"size": [height, width], "counts": bytes(rle[number])},
            "bbox": box,
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": categories[number],
            "iscrowd": 0,
        }
        for number, box in enumerate(masks.boxes(rle, height, width).tolist())
    ]


def _files(images: Layer, block: int, wanted: set[int], root: Path) -> Mapping[int, str]:
    """image_id -> path of its file; packed files that are not there yet are written."""
    rows = images.read(block, ["image_id", "key", *(["encoded"] if _is_packed(images) else [])])
    found = {}
    for number, (image_id, key) in enumerate(zip(rows["image_id"].tolist(), rows["key"].tolist(), strict=True)):
        if image_id not in wanted:
            continue
        found[image_id] = str(root / key)
        if _is_packed(images) and not (root / key).exists():
            _write_whole(root / key, bytes(rows.ragged("encoded")[number]))
    return found


def _write_whole(path: Path, content: bytes) -> None:
    """A file that is there is whole: several workers may ask for one dataset at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    temporary.write_bytes(content)
    os.replace(temporary, path)
