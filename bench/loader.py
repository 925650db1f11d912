"""The streaming loader compared with a plain Dataset of one ``torch.save`` file per image, and its memory.

Run: ``python -m bench.loader [--images 384 --rounds 5 --rows 10000 200000]``. Both loaders read the same images and
masks and draw the same changes. The Dataset is what one would write for such files: Pillow decodes and resamples the
picture, ``torch.load`` reads boolean masks. Each runs in a process pinned to one core, in turns, from a warm page
cache. Samples are compared beforehand: masks must be equal, and pictures up to interpolation. Without augmentation,
they are only read and decoded. Memory is that of a process that chooses images by SQL and streams 10,000 samples.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from bench.results import ratios, report
from pdstore import Identity, Ragged, Rows, Store, StoreInfo, masks
from pdstore.files import Files
from schemas.tables import IMAGES, PARTS
from schemas.training import AugmentSettings, TrainSettings

if TYPE_CHECKING:
    from stages.train.source import StoreSource

__all__ = ["main"]

PARTS_PER_IMAGE, BATCH = 4, 16
HEIGHT, WIDTH, SQUARE = 375, 500, 640
SMALL_PX, STREAMED = 48, 10_000
"""For the memory runs, in which the number of rows matters and not that of pixels."""
AUGMENT = {"on": AugmentSettings(size_px=SQUARE), "small": AugmentSettings(size_px=32), "off": None}
LOADERS = ("store", "files")


def picture(number: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8, a coloured texture with noise, and (4, H, W) bool, the parts of a round object."""
    rng = np.random.default_rng(number)
    small = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    texture = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    pixels = (texture + rng.integers(-12, 12, texture.shape)).clip(0, 255).astype(np.uint8)
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None] - rng.uniform(0.4, 0.6, (2, 1, 1))
    coarse = Image.fromarray(rng.normal(size=(height // 12, width // 12)).astype(np.float32))
    rough = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    angle = np.arctan2(y, x) + rng.uniform(0, np.pi) + 0.1 * rough
    sector = np.floor(angle / (2 * np.pi) * PARTS_PER_IMAGE).astype(int) % PARTS_PER_IMAGE
    inside = np.hypot(y, x) + 0.02 * rough < rng.uniform(0.25, 0.4)
    return pixels, (sector == np.arange(PARTS_PER_IMAGE)[:, None, None]) & inside


def image_row(image_id: int, key: str, height: int, width: int) -> dict[str, Any]:
    named = {"key": key, "split": "train", "wnid": "n00000001", "class_id": 0, "class_name": "object"}
    size = {"height": height, "width": width, "bytes": 0, "mode": "JPEG/RGB", "orientation": 1}
    return {"image_id": image_id, **named, **size, "sha256": "", "encoded": b""}


def part_rows(image_id: int, stack: np.ndarray, rle: Ragged) -> list[dict[str, Any]]:
    areas, (height, width) = stack.sum((1, 2)), stack.shape[1:]
    named = {"object_id": 0, "category_id": 0, "category_name": "object", "part_name": "", "score": 1.0}
    size = {"height": height, "width": width, "feature": np.zeros(8, np.float16)}
    return [
        {"image_id": image_id, "part_id": number, **named, **size, "rle": rle[number]}
        | {"area": int(areas[number]), "object_ratio": float(areas[number] / areas.sum()), "changed": np.nan}
        for number in range(len(stack))
    ]


def make_store(folder: Path, rows: int, block_size: int, pictures: list[tuple[str, np.ndarray]]) -> Store:
    """A store of ``rows`` images, which repeat ``pictures``, each with its parts."""
    store = Store.create(str(folder / "store"), StoreInfo(block_size, 0, {"root": str(folder)}))
    images, parts = (store.declare(table.name, Identity("bench", 1), table, "bench") for table in (IMAGES, PARTS))
    encoded = [(key, stack, masks.encode(stack)) for key, stack in pictures]
    for block, first in enumerate(range(0, rows, block_size)):
        image_records, part_records = [], []
        for image_id in range(first, min(first + block_size, rows)):
            key, stack, rle = encoded[image_id % len(encoded)]
            image_records.append(image_row(image_id, key, *stack.shape[1:]))
            part_records += part_rows(image_id, stack, rle)
        images.commit(block, Rows.from_records(IMAGES, image_records))
        parts.commit(block, Rows.from_records(PARTS, part_records))
    return store


def make_data(folder: Path, count: int) -> None:
    """Write the same images and masks twice: to a store, and as one ``.pt`` file per JPEG."""
    import torch

    pictures = []
    for number in range(count):
        pixels, stack = picture(number, HEIGHT, WIDTH)
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=90)
        torch.save({"part_masks": torch.from_numpy(stack), "class_id": 0}, folder / f"{number}.pt")
        pictures.append((f"{number}.jpg", stack))
    make_store(folder, count, 128, pictures)


def make_rows(folder: Path, rows: int) -> None:
    """Write a store of many rows that refer to a few small image files."""
    pictures = []
    for number in range(32):
        pixels, stack = picture(number, SMALL_PX, SMALL_PX)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
        pictures.append((f"{number}.jpg", stack))
    make_store(folder, rows, 1024, pictures)


def streamed(folder: Path, augment: AugmentSettings | None, window: int) -> Iterator[Any]:
    """Batches of the store's loader, with one decoding thread; without augmentation, lists of pixels and masks."""
    from pdstore.stream import Position, SampleOrder
    from stages.train.samples import batches

    source = streamed_source(folder, window)
    order = SampleOrder(source.block_of_row, BATCH, 0, window)
    if augment is not None:
        return batches(source, order, Position(), augment, threads=1)
    samples = ([decode() for decode in source.read(rows)] for _, rows in order.batches())
    return ([(sample.image, sample.masks) for sample in found] for found in samples)


def streamed_source(folder: Path, window: int) -> StoreSource:
    """The store's images that have parts."""
    from stages.train.node import part_choice
    from stages.train.source import StoreSource, select
    from stages.unit import Unit

    store, settings = Store(str(folder / "store")), TrainSettings()
    layers = {table: store.layers(table) for table in ("images", "parts")}
    unit = Unit("bench", 0, Files(str(folder)), layers)
    choice = part_choice("parts", settings, labelled=False)
    return StoreSource(unit, select(unit, settings, "train", choice, "bench"), choice, window)


def plain(folder: Path, augment: AugmentSettings | None) -> Iterator[Any]:
    """Shuffled batches of a map-style Dataset that opens a JPEG and a ``.pt`` file per sample; no workers."""
    import torch

    from tests.stages.train import pillow_augment

    count = len(list(folder.glob("*.jpg")))

    class Saved(torch.utils.data.Dataset[tuple[Any, ...]]):
        def __len__(self) -> int:
            return count

        def __getitem__(self, number: int) -> tuple[Any, ...]:
            return saved_sample(folder, number)

    def stack(samples: list[tuple[Any, ...]]) -> Any:
        if augment is None:
            return samples
        changed = [pillow_augment.augment(image, masks, augment, 0, 0, n) for n, image, masks in samples]
        images = torch.from_numpy(np.stack([image for image, _, _ in changed])).permute(0, 3, 1, 2)
        masks = [torch.from_numpy(seen) for _, seen, _ in changed]
        return images, masks, [torch.zeros(len(targets), dtype=torch.int64) for _, _, targets in changed]

    while True:
        yield from torch.utils.data.DataLoader(Saved(), BATCH, shuffle=True, collate_fn=stack)


def saved_sample(folder: Path, number: int) -> tuple[int, np.ndarray, np.ndarray]:
    """The number, (H, W, 3) uint8 and (4, H, W) bool of an image that is saved as files."""
    import torch

    pixels = np.asarray(Image.open(folder / f"{number}.jpg").convert("RGB"))
    saved = torch.load(folder / f"{number}.pt", weights_only=True)
    return number, pixels, saved["part_masks"].numpy()


def check_equal(folder: Path, count: int) -> None:
    """Raises ValueError unless both loaders give the same masks, and pictures that differ by interpolation only."""
    from stages.train.samples import collate
    from tests.stages.train import pillow_augment

    settings = AugmentSettings(size_px=SQUARE)
    batch = collate(streamed_source(folder, 2).read(np.arange(count)), settings, 0, 0)
    away = []
    for number, image, found in zip(batch.image_ids, batch.images, batch.masks, strict=True):
        expected, seen, _ = pillow_augment.augment(*saved_sample(folder, number)[1:], settings, 0, 0, number)
        if not np.array_equal(found.numpy(), seen):
            raise ValueError(f"the masks of image {number} are not the same")
        away.append(np.abs(image.permute(1, 2, 0).numpy().astype(int) - expected)[seen.any(0)].mean())
    if max(away) > 10:
        raise ValueError(f"the pictures differ by {max(away):.1f} levels")
    print(f"masks are equal; pictures differ by {np.mean(away):.2f} levels on average, at most {max(away):.2f}\n")


def samples_per_second(folder: Path, loader: str, mode: str, count: int) -> tuple[float, float]:
    """Samples per second on one core, by wall time and by CPU time."""
    import torch

    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    stream = streamed(folder, AUGMENT[mode], 2) if loader == "store" else plain(folder, AUGMENT[mode])
    for _ in range(4):  # reads and builds what is needed once, and the batches that are made ahead
        next(stream)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count // BATCH):
        next(stream)
    done = count // BATCH * BATCH
    return done / (time.perf_counter() - wall), done / (time.process_time() - cpu)


def peak_mb(folder: Path) -> tuple[float, float, float]:
    """Peak resident memory in MB: before the selection, after it, and after the samples. Window 4: 8 blocks of 1024."""
    import torch

    torch.set_num_threads(1)
    import stages.train.node  # noqa: F401  (the libraries of a trainer)

    loaded = _peak()
    stream = streamed(folder, AUGMENT["small"], 4)
    chosen = _peak()
    for _ in range(STREAMED // BATCH):
        next(stream)
    return loaded, chosen, _peak()


def _peak() -> float:
    # getrusage is not used: across fork and exec it counts what the parent once used.
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def in_process(*words: object) -> list[float]:
    """The numbers that this module prints when it is run with these arguments."""
    command = [sys.executable, "-m", "bench.loader", "--one", *map(str, words)]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [float(word) for word in finished.stdout.split()]


def measure(words: list[str]) -> None:
    """Print a measurement of this process: ``folder loader mode count``, or ``folder`` for memory."""
    values: Callable[[], tuple[float, ...]]
    if len(words) == 1:
        values = partial(peak_mb, Path(words[0]))
    else:
        values = partial(samples_per_second, Path(words[0]), words[1], words[2], int(words[3]))
    print(*values())
    sys.stdout.flush()
    os._exit(0)  # the loader's threads never end


def speed(folder: Path, count: int, rounds: int) -> None:
    """Print one row per mode: the medians of both loaders, and the median of the ratios with its spread."""
    units = "store, samples/s | files, samples/s | store, samples/CPU s | files, samples/CPU s | store / files, CPU"
    print(f"| augmentation | {units} |\n|---|---|---|---|---|---|")
    for mode in ("on", "off"):
        speeds: dict[str, list[list[float]]] = {loader: [] for loader in LOADERS}
        for _ in range(rounds):
            for loader in LOADERS:
                speeds[loader].append(in_process(folder, loader, mode, count))
        (store, store_cpu), (files, files_cpu) = (list(zip(*speeds[loader], strict=True)) for loader in LOADERS)
        # More samples per second are better, so the quotients of speeds are the ratios of times the other way round.
        wall, cpu = ratios(store, files), ratios(store_cpu, files_cpu)
        middle = " | ".join(f"{statistics.median(speed):.1f}" for speed in (store, files, store_cpu, files_cpu))
        print(f"| {mode} | {middle} | {statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f}) |", flush=True)
        if mode == "on":
            report("loader", cpu, wall)


def main() -> None:
    """Print samples per second on one core, bytes per image, and peak memory by number of rows."""
    if sys.argv[1:2] == ["--one"]:
        measure(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 200_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder, options.images)
        stored = sum(path.stat().st_size for path in (folder / "store").rglob("*") if path.is_file())
        saved = sum(path.stat().st_size for path in folder.glob("*.pt"))
        print(f"{options.images} images of {WIDTH}x{HEIGHT} px, {PARTS_PER_IMAGE} parts each, square {SQUARE} px")
        print(f"labels: {stored / options.images / 1e3:.1f} KB per image in the store, ", end="")
        print(f"{saved / options.images / 1e3:.1f} KB in files\n", flush=True)
        check_equal(folder, min(options.images, 64))
        speed(folder, options.images, options.rounds)
    if options.rows:
        print("\n| rows | libraries, MB | selection chosen | 10,000 samples streamed |\n|---|---|---|---|")
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as name:
            make_rows(Path(name), rows)
            loaded, chosen, peak = in_process(name)
        print(f"| {rows} | {loaded:.0f} | {chosen:.0f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
