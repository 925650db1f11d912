"""Samples per second of ``Stream`` and ``MapDataset`` of ``pdstore.torch``, against one JPEG and ``.pt`` per image.

Run: ``python -m bench.torch_data [--images 384 --repeats 5]``. All three give the same images, (3, H, W) uint8, and
masks, (4, H, W) bool, in shuffled batches of 16, in one process without workers, from a warm page cache, in turns. The
Dataset of files is what one would write for them: Pillow decodes the picture, ``torch.load`` reads boolean masks.
``MapDataset`` is read in a random order, too, which is its worst case. Samples are compared beforehand.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from bench.loader import BATCH, HEIGHT, PARTS_PER_IMAGE, WIDTH, make_data
from bench.results import ratios, take_turns
from pdstore import Store, layout
from pdstore.torch import MapDataset, Stream

__all__ = ["main"]

SQL = "SELECT * FROM parts"


class Files(Dataset[dict[str, Any]]):
    """Opens a JPEG and a ``.pt`` file per sample."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict[str, Any]:
        pixels = np.asarray(Image.open(self.folder / f"{number}.jpg").convert("RGB"))
        saved = torch.load(self.folder / f"{number}.pt", weights_only=True)
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        return {"image": image, "masks": saved["part_masks"], "image_id": number}


def show(folder: Path) -> str:
    """Let the views show the layers of the store, as ``pd init`` does. Returns its URL."""
    store = Store(str(folder / "store"))
    current = {node: store.layers(node)[0].fingerprint for node in store.nodes()}
    store.files.write(layout.PIPELINE, json.dumps({"current": current}).encode())
    return store.url


def check_equal(url: str, files: Files) -> None:
    """Raises ValueError unless all three give equal images and masks."""
    stored = MapDataset(url, SQL)
    streamed = {s["image_id"]: s for batch in Stream(url, SQL, batch_size=BATCH) for s in batch}
    for number in range(len(files)):
        for name in ("image", "masks"):
            expected = files[number][name]
            if not all(torch.equal(found[name], expected) for found in (stored[number], streamed[number])):
                raise ValueError(f"{name} of image {number} is not the same")


def drain(batches: Iterable[Any]) -> int:
    return sum(len(batch) for batch in batches)


def shuffled(dataset: Dataset[Any]) -> DataLoader[Any]:
    return DataLoader(dataset, BATCH, shuffle=True, collate_fn=list)


def main() -> None:
    """Print the samples per second of each way, and its ratios to the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=384, help="a multiple of the batch size")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder, options.images)
        url, files = show(folder), Files(folder, options.images)
        check_equal(url, files)
        stream, stored = Stream(url, SQL, batch_size=BATCH), MapDataset(url, SQL)
        ways = {
            "files": lambda: drain(shuffled(files)),
            "Stream": lambda: drain(stream),
            "MapDataset": lambda: drain(shuffled(stored)),
        }
        times = take_turns(ways, options.repeats)
    print(
        f"{options.images} images of {WIDTH}x{HEIGHT} px, {PARTS_PER_IMAGE} masks each, one process, batches of {BATCH}"
    )
    print("| | samples/s | samples/CPU s | files = 1, CPU | files = 1, wall |\n|---|---|---|---|---|")
    for way, found in times.items():
        wall, cpu = (options.images / statistics.median(seconds) for seconds in (found.wall, found.cpu))
        sides = [ratios(getattr(times["files"], kind), getattr(found, kind)) for kind in ("cpu", "wall")]
        shown = " | ".join(f"{statistics.median(r):.2f} ({min(r):.2f} to {max(r):.2f})" for r in sides)
        print(f"| {way} | {wall:.0f} | {cpu:.0f} | {shown} |")


if __name__ == "__main__":
    main()
