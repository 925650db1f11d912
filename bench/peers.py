"""The same labels in this store and in other formats: writing, bytes on disk, shuffled streaming, and single images.

Run: ``OMP_NUM_THREADS=1 python -m bench.peers [--blocks 20 --files 2048 --lookups 200 --repeats 5]``. Blocks have 1,024
images of four unique masks (run lengths). Every format streams all images in random order from a window of 8 blocks
(8,192 images), or from as large a buffer, in its best settings: see :mod:`bench.peer_formats`. The formats take turns
in one process, from a warm page cache; each ratio is that of two runs of the same round. One file per image is
measured on fewer images, since it is the same work for each. The decoded masks of a sample of images, streamed and
looked up, must be those that were written. A format whose package is not installed is left out, and named.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from bench.peer_formats import BLOCK, FORMATS, PER_IMAGE, Format, Item, Records
from bench.results import Times, ratios, report, take_turns
from pdstore import Ragged, masks, runs

__all__ = ["main"]

HEIGHT, WIDTH, CHECKED = 375, 500, 50


def outlines(count: int) -> Iterator[bytes]:
    """Run lengths of round shapes with wavy outlines, each another one."""
    rng, angle = np.random.default_rng(0), np.linspace(0, 2 * np.pi, 72, endpoint=False)
    for first in range(0, count, 4096):
        number = min(4096, count - first)
        wave = np.ones((number, 72))
        for k in range(2, 14):
            wave += rng.normal(0, 0.35 / k, (number, 1)) * np.cos(k * angle + rng.uniform(0, 2 * np.pi, (number, 1)))
        radius = rng.uniform(0.08, 0.28, (number, 1)) * HEIGHT * wave
        x = (rng.uniform(0.2, 0.8, (number, 1)) * WIDTH + radius * np.cos(angle)).clip(0, WIDTH - 1)
        y = (rng.uniform(0.2, 0.8, (number, 1)) * HEIGHT + radius * np.sin(angle)).clip(0, HEIGHT - 1)
        for points in np.stack([x, y], 2).reshape(number, -1):
            yield coco.frPyObjects([points.tolist()], HEIGHT, WIDTH)[0]["counts"]


def drawn(images: int) -> Records:
    rng, count = np.random.default_rng(1), images * PER_IMAGE
    rle = Ragged.from_list(outlines(count))
    columns: dict[str, npt.NDArray[Any]] = {
        "image_id": np.repeat(np.arange(images), PER_IMAGE),
        "object_id": np.zeros(count, np.int32),
        **dict.fromkeys(("label_id", "category_id", "cluster"), np.tile(np.arange(PER_IMAGE, dtype=np.int32), images)),
        **{name: rng.random(count, np.float32) for name in ("score", "object_ratio")},
        "area": runs.areas(runs.read(rle, HEIGHT, WIDTH)),
        "height": np.full(count, HEIGHT, np.int32),
        "width": np.full(count, WIDTH, np.int32),
    }
    return Records(rle, columns)


@dataclass
class Measured:
    """One format: seconds of its runs, divided by the number of images; bytes per image on disk."""

    images: int
    folder: Path
    writing: Times = field(default_factory=Times)
    streaming: Times = field(default_factory=Times)
    lookup: Times = field(default_factory=Times)
    disk: float = 0.0

    def write(self, form: Format, records: Records, round_: int) -> None:
        """Write once more, to a folder of its own, and note the time, except of the first: it loads what is needed."""
        folder = self.folder.with_name(f"{self.folder.name}.{round_}")
        wall, cpu = time.perf_counter(), time.process_time()
        form.write(records, folder)
        if round_:
            self.writing.cpu.append((time.process_time() - cpu) / self.images)
            self.writing.wall.append((time.perf_counter() - wall) / self.images)
        self.folder = folder
        blocks = sum(path.stat().st_blocks for path in folder.rglob("*") if path.is_file())
        self.disk = 512 * blocks / self.images


def check(name: str, form: Format, measured: Measured, records: Records) -> None:
    """The decoded masks and labels of a sample are those that were written, and every image is streamed once."""
    wanted = set(np.random.default_rng(2).integers(0, measured.images, CHECKED).tolist())
    seen: list[int] = []
    found: list[Item] = []
    for item in form.stream(measured.folder):
        seen.append(item[0])
        if item[0] in wanted:
            found.append(item)
    if sorted(seen) != list(range(measured.images)) or seen == sorted(seen):
        raise SystemExit(f"{name} must stream every image once, in random order")
    find = form.lookup(measured.folder) if form.lookup else None
    for image_id, strings, labels in [*found, *(map(find, wanted) if find else ())]:
        own = records.rle.take(slice(image_id * PER_IMAGE, (image_id + 1) * PER_IMAGE))
        same = masks.decode(Ragged.from_list(strings), HEIGHT, WIDTH) == masks.decode(own, HEIGHT, WIDTH)
        if not same.all() or list(labels) != records.image(image_id)["category_id"]:
            raise SystemExit(f"{name} must give the masks of image {image_id} that were written, but does not")


def consume(form: Format, folder: Path) -> None:
    deque(form.stream(folder), maxlen=0)


def look_up(form: Format, folder: Path, image_ids: list[int]) -> None:
    """Open and look up images one by one, so that what a format keeps in memory helps it as it would in use."""
    find = form.lookup(folder) if form.lookup else None
    for image_id in image_ids if find else ():
        find(image_id)  # type: ignore[misc]


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Measured]:
    """All formats that are installed; says which are not."""
    records, found = drawn(options.blocks * BLOCK), dict[str, Measured]()
    few = Records(
        records.rle.take(slice(0, options.files * PER_IMAGE)),
        {name: values[: options.files * PER_IMAGE] for name, values in records.columns.items()},
    )
    for name, form in FORMATS.items():
        if form.package and importlib.util.find_spec(form.package) is None:
            print(f"{name} is not measured, because it is not installed: {form.install}", file=sys.stderr, flush=True)
        else:
            found[name] = Measured(len(few if name == "files" else records), folder / name.replace(", ", "-"))
    for round_ in range(1 + options.writes):
        for name, measured in found.items():
            measured.write(FORMATS[name], few if name == "files" else records, round_)
    for name, measured in found.items():
        check(name, FORMATS[name], measured, records)
    streams = {name: partial(consume, FORMATS[name], m.folder) for name, m in found.items()}
    for name, times in take_turns(streams, options.repeats).items():
        per = found[name].images
        found[name].streaming = Times([t / per for t in times.cpu], [t / per for t in times.wall])
    ids = np.random.default_rng(3).integers(0, options.files, options.lookups) * options.blocks * BLOCK // options.files
    lookups = {n: partial(look_up, FORMATS[n], m.folder, (ids % m.images).tolist()) for n, m in found.items()}
    for name, times in take_turns({n: f for n, f in lookups.items() if FORMATS[n].lookup}, options.repeats).items():
        found[name].lookup = Times([t / len(ids) for t in times.cpu], [t / len(ids) for t in times.wall])
    return found


def table(found: dict[str, Measured]) -> None:
    """One row per format: medians, and of the streams the least and the most."""
    print("| | written, µs CPU (wall) | bytes on disk | streamed, µs CPU (least, most) | one image, ms CPU (wall) |")
    print("|---|---|---|---|---|")
    for name, m in found.items():
        written = f"{statistics.median(m.writing.cpu) * 1e6:.1f} ({statistics.median(m.writing.wall) * 1e6:.1f})"
        spread = f"{min(m.streaming.cpu) * 1e6:.1f}, {max(m.streaming.cpu) * 1e6:.1f}"
        streamed = f"{statistics.median(m.streaming.cpu) * 1e6:.1f} ({spread})"
        one = [f"{statistics.median(times) * 1e3:.2f}" for times in (m.lookup.cpu, m.lookup.wall) if times]
        print(f"| {name} | {written} | {m.disk:.0f} | {streamed} | {f'{one[0]} ({one[1]})' if one else ''} |")


def main() -> None:
    """Print a row per format, then the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = {"blocks": 20, "files": 2048, "lookups": 200, "repeats": 5, "writes": 3}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options)
    print(f"Per image, with {PER_IMAGE} masks of {WIDTH} x {HEIGHT} each; {options.blocks * BLOCK} images.\n")
    table(found)
    store = found["store"]
    for name in ("lance", "files", "mds", "webdataset"):
        if name in found:
            of = found[name].streaming
            report(f"read.{name}", ratios(of.cpu, store.streaming.cpu), ratios(of.wall, store.streaming.wall))
    if "lance" in found:
        of = found["lance"].lookup
        report("read.one", ratios(of.cpu, store.lookup.cpu), ratios(of.wall, store.lookup.wall))
    of = found["parquet"].writing
    report("write.parquet", ratios(of.cpu, store.writing.cpu), ratios(of.wall, store.writing.wall))
    report("disk", [found["files"].disk / store.disk])


if __name__ == "__main__":
    main()
