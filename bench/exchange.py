"""COCO rows per second: ``pd export coco`` against the same list of dicts, built with pycocotools and ``json.dump``.

Both read the same rows and write equal annotations, which is checked. The rival holds all of them in memory, as the
usual script does; the export holds one block.

Run: ``python -m bench.exchange [--images N] [--masks N] [--repeats N] [--polygons]``
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from bench.results import ratios, take_turns
from bench.run_lengths import HEIGHT, WIDTH, blob
from pdstore import Identity, Rows, Store, StoreInfo, layout
from schemas.tables import IMAGES, LABELS
from stages.exchange.coco import ROWS_PER_IMAGE
from stages.exchange.export import Request, export
from stages.source.listing import ImageClass, Listing

__all__ = ["main"]

BLOCK, NUM_CLASSES, NUM_CLUSTERS = 256, 20, 8
COPIED = ("object_id", "cluster", "object_ratio")


def filled(folder: Path, num_images: int, num_masks: int) -> Store:
    """A store of labels on images of 640 x 480, each of a shape of its own."""
    store, rng = (
        Store.create(str(folder / "store"), StoreInfo(BLOCK, 0, {"root": str(folder)})),
        np.random.default_rng(0),
    )
    classes = [ImageClass(n, f"n{n:08d}", f"class {n}") for n in range(NUM_CLASSES)]
    listing = Listing(store)
    listing.write_classes(classes)
    listing.append([(f"{n}.jpg", "train", classes[n % NUM_CLASSES].wnid) for n in range(num_images)])
    layers = {
        table.name: store.declare(table.name, Identity(table.name, 1), table, "bench") for table in (IMAGES, LABELS)
    }
    size, centre = {"height": HEIGHT, "width": WIDTH}, np.array([WIDTH / 2, HEIGHT / 2])
    for block in range(-(-num_images // BLOCK)):
        images, labels = [], []
        for n in range(block * BLOCK, min((block + 1) * BLOCK, num_images)):
            own = classes[n % NUM_CLASSES]
            named = {"key": f"{n}.jpg", "split": "train", "wnid": own.wnid, "class_name": own.name, "mode": "JPEG/RGB"}
            more = {"class_id": own.class_id, "bytes": 0, "orientation": 1, "sha256": "", "encoded": b""}
            images.append({"image_id": n, **named, **more, **size})
            for number in range(num_masks):
                shape = blob(rng, centre + rng.uniform(-120, 120, 2), rng.uniform(15, 150))
                area = int(coco.area({"size": [HEIGHT, WIDTH], "counts": shape}))
                row = {"image_id": n, "object_id": 0, "label_id": number, "category_id": own.class_id, "rle": shape}
                row |= {"cluster": number % NUM_CLUSTERS, "score": rng.random(), "object_ratio": 0.25, "area": area}
                labels.append(row | size)
        layers["images"].commit(block, Rows.from_records(IMAGES, images))
        layers["labels"].commit(block, Rows.from_records(LABELS, labels))
    current = {name: layer.fingerprint for name, layer in layers.items()}
    store.files.write(layout.PIPELINE, json.dumps({"current": current}).encode())
    return store


def by_hand(store: Store, out: Path) -> None:
    """The usual script: one dict per row in a list, then ``json.dump``."""
    layer = store.layer("labels", store.current()["labels"])
    pairs = sorted(
        {
            pair
            for r in layer.scan(["category_id", "cluster"])
            for pair in zip(r["category_id"], r["cluster"], strict=True)
        }
    )
    numbers = {(int(a), int(b)): n for n, (a, b) in enumerate(pairs, 1)}
    annotations: list[dict[str, Any]] = []
    for rows in layer.scan():
        counter, last = 0, -1
        for n, counts in enumerate(rows.ragged("rle")):
            image_id = int(rows["image_id"][n])
            counter, last = (counter + 1 if image_id == last else 1), image_id
            encoded = {"size": [int(rows["height"][n]), int(rows["width"][n])], "counts": counts}
            annotation: dict[str, Any] = {
                "id": image_id * ROWS_PER_IMAGE + counter,
                "image_id": image_id,
                "category_id": numbers[int(rows["category_id"][n]), int(rows["cluster"][n])],
                "segmentation": {**encoded, "counts": counts.decode()},
                "area": int(coco.area(encoded)),
                "bbox": coco.toBbox(encoded).tolist(),
                "iscrowd": 0,
                "score": round(float(rows["score"][n]), 6),
            }
            annotation |= {name: rows[name][n].item() for name in COPIED}
            annotations.append(annotation | {"node": layer.node, "layer": layer.fingerprint})
    with out.open("w", encoding="utf-8") as file:
        json.dump({"images": [], "categories": [], "annotations": annotations}, file)


def main() -> None:
    """Print rows per second of both ways, medians, and their ratio with the smallest and the largest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 1024), ("masks", 10), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--polygons", action="store_true", help="the export writes polygons, the rival run lengths")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = filled(folder, options.images, options.masks)
        ours, theirs = folder / "ours.json", folder / "theirs.json"
        chosen = {"polygons": True} if options.polygons else {}
        request = Request("coco", "labels", ours, overwrite=True, options=chosen)
        ways: dict[str, Callable[[], object]] = {
            "export": lambda: export(store, request),
            "by hand": lambda: by_hand(store, theirs),
        }
        for run in ways.values():
            run()
        written = [json.loads(path.read_bytes())["annotations"] for path in (ours, theirs)]
        if not options.polygons and written[0] != written[1]:
            raise SystemExit("both ways must write equal annotations, but they do not")
        times, rows = take_turns(ways, options.repeats), options.images * options.masks
        print(f"{rows} masks of {WIDTH} x {HEIGHT} in {options.images} images, {ours.stat().st_size / 2**20:.1f} MiB\n")
        print("| | rows/s, CPU | rows/s, wall |\n|---|---|---|")
        for way, taken in times.items():
            print(f"| {way} | {rows / statistics.median(taken.cpu):.0f} | {rows / statistics.median(taken.wall):.0f} |")
        found = ratios(times["by hand"].cpu, times["export"].cpu)
        print(f"\nratio of CPU time {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})")


if __name__ == "__main__":
    main()
