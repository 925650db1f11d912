"""A store whose every pixel and mask the tests know: 22 pictures of several sizes in blocks of four, with labels."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pdstore import Identity, Layer, Rows, Store, StoreInfo, Table, layout, masks
from schemas.tables import IMAGES, LABELS, OBJECTS

NUM_IMAGES, BLOCK = 22, 4
ABOVE = "SELECT * FROM labels WHERE score > 0.5"


def size_of(image_id: int) -> tuple[int, int]:
    return 24 + 4 * (image_id % 3), 32 - 2 * (image_id % 2)


def pixels_of(image_id: int) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.random.default_rng(image_id).integers(0, 256, (*size_of(image_id), 3), np.uint8)


def masks_of(image_id: int) -> np.ndarray:
    """(N, H, W) bool, of one to three masks."""
    return np.random.default_rng([image_id, 1]).random((1 + image_id % 3, *size_of(image_id))) < 0.3


def scores_of(image_id: int) -> list[float]:
    """Of the masks, in their order; above 0.5 but for the second one, and for all of image 5."""
    return [0.25 if number == 1 or image_id == 5 else 0.75 for number in range(1 + image_id % 3)]


def png(image_id: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels_of(image_id)).save(file, "PNG")
    return file.getvalue()


def image_record(image_id: int, encoded: bytes = b"") -> dict[str, Any]:
    height, width = size_of(image_id)
    named = {"key": f"{image_id}.png", "split": "train", "wnid": "n1", "class_id": image_id % 2, "class_name": "cat"}
    size = {"height": height, "width": width, "bytes": 0, "mode": "PNG/RGB", "orientation": 1}
    return {"image_id": image_id, **named, **size, "sha256": "", "encoded": encoded}


def label_records(image_id: int) -> list[dict[str, Any]]:
    stack = masks_of(image_id)
    named = {"image_id": image_id, "object_id": 0, "category_id": 7, "object_ratio": 0.5}
    size = dict(zip(("height", "width"), stack.shape[1:], strict=True))
    return [
        {**named, **size, "label_id": n, "cluster": n + image_id % 2, "score": score, "area": int(stack[n].sum())}
        | {"rle": masks.encode(stack[n : n + 1])[0]}
        for n, score in enumerate(scores_of(image_id))
    ]


def object_record(image_id: int) -> dict[str, Any]:
    """One object per image, whose mask is stored at half the size: the top half."""
    height, width = (length // 2 for length in size_of(image_id))
    stack = np.zeros((1, height, width), bool)
    stack[:, : height // 2] = True
    named = {"image_id": image_id, "object_id": 0, "category_id": image_id % 2, "category_name": "cat", "score": 1.0}
    return {**named, "area": int(stack.sum()), "height": height, "width": width, "rle": masks.encode(stack)[0]}


def commit(store: Store, node: str, table: Table, records: Sequence[dict[str, Any]], **settings: bool) -> Layer:
    """Commit the records block by block, and show the layer."""
    layer = store.declare(node, Identity(node, 1, settings), table, "test")
    for block in range(-(-NUM_IMAGES // BLOCK)):
        own = [record for record in records if record["image_id"] // BLOCK == block]
        layer.commit(block, Rows.from_records(table, own))
    record(store, {**store.current(), node: layer.fingerprint})
    return layer


def record(store: Store, current: dict[str, str]) -> None:
    store.files.write(layout.PIPELINE, json.dumps({"current": current}).encode())


def make_store(folder: Path, *, is_packed: bool = False, url: str = "") -> Store:
    """The store in ``folder`` or at a URL, with the nodes ingest, detic and labels; its images are in ``folder``."""
    images = range(NUM_IMAGES)
    source = {"kind": "folder", "root": str(folder / "images")}
    store = Store.create(url or str(folder / "store"), StoreInfo(BLOCK, 0, source))
    (folder / "images").mkdir()
    if not is_packed:
        for number in images:
            (folder / "images" / f"{number}.png").write_bytes(png(number))
    encoded = [image_record(number, png(number) if is_packed else b"") for number in images]
    commit(store, "ingest", IMAGES, encoded, copy=is_packed)
    commit(store, "detic", OBJECTS, [object_record(number) for number in images])
    commit(store, "labels", LABELS, [row for number in images for row in label_records(number)])
    return store
