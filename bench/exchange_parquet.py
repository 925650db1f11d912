"""How fast masks leave a store as Parquet, beside what it takes to read them and to write the same rows as JSON lines.

Run: ``python -m bench.exchange_parquet [--images 2048 --repeats 3]``. The store has 4 part masks of 375 x 500 pixels
per image. Each figure is the best of the repeats, in rows (masks) per second, from a warm page cache.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pdstore import Identity, Rows, Store, StoreInfo, layout, masks
from schemas.tables import IMAGES, LABELS
from stages.exchange.export import Request, export
from stages.source.listing import ImageClass, Listing

__all__ = ["main"]

PARTS, HEIGHT, WIDTH, BLOCK = 4, 375, 500, 256


def filled(folder: Path, images: int) -> Store:
    """A store with this many images, which have no files, and their labels."""
    store = Store.create(str(folder / "store"), StoreInfo(BLOCK, 0, {"root": str(folder)}))
    listing = Listing(store)
    listing.append([(f"n0/{n:07d}.jpg", "train", "n0") for n in range(images)])
    listing.write_classes([ImageClass(0, "n0", "cat")])
    layers = [store.declare(t.name, Identity(t.name, 1), t, "bench") for t in (IMAGES, LABELS)]
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for block in range(-(-images // BLOCK)):
        ids = range(block * BLOCK, min(images, (block + 1) * BLOCK))
        pictures: list[dict[str, Any]] = []
        labels: list[dict[str, Any]] = []
        for n in ids:
            angle = np.arctan2(y - rng.uniform(100, 275), x - rng.uniform(150, 350)) + rng.uniform(0, 6)
            part = ((angle / (2 * np.pi)) * PARTS).astype(int) % PARTS
            stack = (part[None] == np.arange(PARTS)[:, None, None]) & (np.hypot(y - 187, x - 250) < 150)
            found: dict[str, Any] = {
                "image_id": n,
                "key": f"n0/{n:07d}.jpg",
                "split": "train",
                "wnid": "n0",
                "class_id": 0,
            }
            found |= {"class_name": "cat", "height": HEIGHT, "width": WIDTH, "bytes": 0, "mode": "", "orientation": 1}
            pictures.append(found | {"sha256": "", "encoded": b""})
            for number, counts in enumerate(masks.encode(stack)):
                label: dict[str, Any] = {
                    "image_id": n,
                    "object_id": 0,
                    "label_id": number,
                    "category_id": 0,
                    "cluster": number,
                }
                label |= {"score": 0.5, "object_ratio": 0.25, "area": int(stack[number].sum()), "rle": counts}
                labels.append(label | {"height": HEIGHT, "width": WIDTH})
        for layer, records in zip(layers, (pictures, labels), strict=True):
            layer.commit(block, Rows.from_records(layer.table, records))
    store.files.write(layout.PIPELINE, json.dumps({"current": {x.node: x.fingerprint for x in layers}}).encode())
    return store


def _best(repeats: int, work: Callable[[Path], object], folder: Path) -> float:
    seconds = []
    for _ in range(repeats):
        out = folder / "out"
        started = time.perf_counter()
        work(out)
        seconds.append(time.perf_counter() - started)
        shutil.rmtree(out, ignore_errors=True)
        out.unlink(missing_ok=True)
    return min(seconds)


def _lines(store: Store, out: Path) -> None:
    layer = store.layer("labels", store.current()["labels"])
    with out.open("w", encoding="utf-8") as file:
        for rows in layer.scan():
            columns = {name: rows[name].tolist() for name in rows.columns if name != "rle"}
            columns["rle"] = [counts.decode() for counts in rows.ragged("rle")]
            for values in zip(*columns.values(), strict=True):
                file.write(json.dumps(dict(zip(columns, values, strict=True))) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = filled(folder, given.images)
        count = given.images * PARTS
        layer = store.layer("labels", store.current()["labels"])
        ways: dict[str, Callable[[Path], object]] = {
            "read the rows": lambda out: sum(len(rows) for rows in layer.scan()),
            "rows as JSON lines": lambda out: _lines(store, out),
            "pd export parquet": lambda out: export(store, Request("parquet", "labels", out)),
            "pd export hf": lambda out: export(store, Request("hf", "labels", out, options={"images": "none"})),
            "pd export coco": lambda out: export(store, Request("coco", "labels", out)),
        }
        for what, work in ways.items():
            print(f"{what:20} {count / _best(given.repeats, work, folder):10,.0f} rows/s", flush=True)


if __name__ == "__main__":
    main()
