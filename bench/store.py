"""Blocks written and read per second, and a gathered read compared with opening the Zarr group piece by piece.

Run: ``python -m bench.store [--blocks 20 --images 1024 --per-image 4 --dimensions 256]``.
Both reads return the same rows from a warm page cache; they take turns, so that a busy machine slows down both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import zarr

from pdstore import Column, Identity, Layer, Ragged, Rows, Store, StoreInfo, Table

__all__ = ["main"]

TABLE = Table(
    "proposals",
    "One row per proposal.",
    (
        Column("image_id", "int64", "image"),
        Column("score", "float32", "0 to 1"),
        Column("feature", "float16", "query feature", layout="vector"),
        Column("rle", "uint8", "mask", layout="ragged"),
    ),
)


def block(images: int, per_image: int, dimensions: int) -> Rows:
    """Random rows of realistic size: 200 to 400 bytes per mask."""
    rng, count = np.random.default_rng(0), images * per_image
    return Rows(
        TABLE,
        {
            "image_id": np.repeat(np.arange(images), per_image),
            "score": rng.random(count, np.float32),
            "feature": rng.standard_normal((count, dimensions)).astype(np.float16),
            "rle": Ragged.from_list(rng.bytes(int(n)) for n in rng.integers(200, 400, count)),
        },
    )


def piecewise(root: Path, layer: Layer, unit: int) -> Rows:
    """A read without the engine: Parquet, then each array of the group opened and read separately."""
    folder = root / layer.manifest(unit).folder
    frame = pq.read_table(folder / "rows.parquet")
    group = zarr.open_group(folder / "data.zarr", mode="r", zarr_format=3, use_consolidated=False)
    arrays = {name: np.asarray(group[name]) for name in ("feature", "rle", "rle_offsets")}
    columns = {name: frame.column(name).to_numpy() for name in ("image_id", "score")}
    return Rows(TABLE, {**columns, "feature": arrays["feature"], "rle": Ragged(arrays["rle"], arrays["rle_offsets"])})


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print one line per measurement: milliseconds per block (median), blocks and MB per second."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("blocks", 20), ("images", 1024), ("per-image", 4), ("dimensions", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    rows = block(options.images, options.per_image, options.dimensions)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(folder, StoreInfo(options.images, 0, {}))
        layer = store.declare("bench", Identity("bench", 1), TABLE, "bench")
        units = range(options.blocks)
        times: dict[str, list[float]] = {"write and commit": [], "gathered read": [], "piece by piece": []}
        for unit in units:
            times["write and commit"].append(seconds(partial(layer.commit, unit, rows)))
        for unit in units:
            times["gathered read"].append(seconds(partial(layer.read, unit)))
            times["piece by piece"].append(seconds(partial(piecewise, Path(folder), layer, unit)))
        size = layer.manifest(0).size / 1e6
    middle = {name: statistics.median(values) for name, values in times.items()}
    print(f"{options.blocks} blocks of {len(rows)} rows, {size:.1f} MB each")
    for name, value in middle.items():
        print(f"{name:17} {1e3 * value:7.1f} ms per block {1 / value:7.1f} blocks/s {size / value:7.0f} MB/s")
    print(f"gathered read is {middle['piece by piece'] / middle['gathered read']:.2f} times as fast as piece by piece")


if __name__ == "__main__":
    main()
