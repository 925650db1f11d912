"""A store of two blocks with masks of every kind, made by hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pdstore import Layer, Ragged, Rows, Store, layout, masks
from pdstore.selection import freeze
from schemas.tables import LABELS, OBJECTS, PARTS, PREDICTIONS, PROPOSALS
from stages.source.listing import ImageClass, Listing
from tests.stages.conftest import Bench

CLASSES = [ImageClass(0, "n00000001", "cat"), ImageClass(1, "n00000002", "dog"), ImageClass(2, "n00000003", "dog")]
SIZES = [(24, 32), (40, 30), (16, 16), (24, 32), (33, 21), (24, 32)]
"""(height, width) of the images, four in the first block and two in the second. Masks of image 1 are half as large."""


def blobs(image_id: int, number: int, size: tuple[int, int]) -> np.ndarray:
    """(number, H, W) bool: overlapping discs with holes, and specks that touch at corners only."""
    rng = np.random.default_rng(image_id)
    y, x = np.mgrid[: size[0], : size[1]]
    found = []
    for _ in range(number):
        centre, radius = rng.uniform(0.2, 0.8, 2) * size, rng.uniform(3, min(size) / 2)
        distance = np.hypot(y - centre[0], x - centre[1])
        mask = (distance < radius) & ~((distance < radius / 3) & (x > centre[1] - 1))
        found.append(mask | (rng.random(size) > 0.97))
    return np.array(found, bool).reshape(number, *size)


@dataclass(frozen=True)
class Masked:
    """The store, and what was put into it: node -> rows as they were committed."""

    store: Store
    rows: dict[str, Rows]

    def layer(self, node: str) -> Layer:
        return self.store.layer(node, self.store.current()[node])


def _records(table: Any, image_id: int, size: tuple[int, int]) -> list[dict[str, Any]]:
    number = 0 if image_id == 3 else 4
    stack = blobs(image_id, number, size)
    rle, records = masks.encode(stack), []
    for n in range(number):
        thing = CLASSES[image_id % 3] if n < 3 else ImageClass(-1, "", "person")
        record = {"image_id": image_id, "object_id": n // 2, "category_id": thing.class_id, "score": 0.2 * n + 0.1}
        record |= {"category_name": thing.name, "part_name": ["", "head", "left ear"][n % 3] if table is PARTS else ""}
        record |= {"part_id": n % 2, "label_id": n % 2, "proposal_id": n, "cluster": n % 2 + 3, "object_ratio": 0.5}
        record |= {"changed": 0.0, "feature": np.ones(2, np.float16), "height": size[0], "width": size[1]}
        record |= {"area": int(stack[n].sum()), "rle": rle[n]}
        records.append({column.name: record[column.name] for column in table.columns})
    return records


@pytest.fixture(scope="session")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Masked:
    """Six images of three classes, two of which share their name, in two blocks, with a layer of every kind of mask.

    Never write to it.
    """
    bench = Bench(tmp_path_factory.mktemp("masked"))
    store, rows, listing = bench.store, {}, Listing(bench.store)
    for unit in (0, 1):
        pictures = [np.zeros((*size, 3), np.uint8) for size in SIZES[4 * unit : 4 * unit + 4]]
        images = bench.images(*pictures, unit=unit, split=("train", "val")[unit])
        listing.append([(f"{unit}_{n}.png", ("train", "val")[unit], "n00000001") for n in range(len(pictures))])
    listing.write_classes(CLASSES)
    current = {images.node: images.fingerprint}
    for table in (OBJECTS, PARTS, PROPOSALS, LABELS, PREDICTIONS):
        found = []
        for unit in (0, 1):
            ids = range(4 * unit, min(4 * unit + 4, len(SIZES)))
            frames = [(20, 15) if n == 1 else SIZES[n] for n in ids]
            records = [r for n, size in zip(ids, frames, strict=True) for r in _records(table, n, size)]
            layer = bench.put(f"the-{table.name}", table, records, unit)
            found.append(Rows.from_records(table, records))
        current[layer.node] = layer.fingerprint
        rows[layer.node] = Rows.concat(table, found)
    store.files.write(layout.PIPELINE, json.dumps({"current": current}).encode())
    freeze(store, "chosen", lambda: pa.table({"image_id": pa.array([3, 5, 5], pa.int64())}))
    return Masked(store, rows)


@pytest.fixture
def own(masked: Masked, tmp_path: Path) -> Masked:
    """A copy of the store, to write to."""
    shutil.copytree(masked.store.url, tmp_path / "own")
    return Masked(Store(str(tmp_path / "own")), masked.rows)


def in_pixels(rows: Rows) -> list[np.ndarray]:
    """Every row's mask in the pixels of its image."""
    found = []
    for n, image_id in enumerate(rows["image_id"].tolist()):
        frame = int(rows["height"][n]), int(rows["width"][n])
        (rle,) = masks.resize(Ragged.from_list([rows.ragged("rle")[n]]), frame, SIZES[image_id])
        found.append(masks.decode_one(rle, *SIZES[image_id]))
    return found
