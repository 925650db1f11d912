"""Bytes that ranking reads for 22,000 classes, against those of one pass over all candidates.

Run: ``python -m bench.ranking_passes [--blocks 40 --images 1024 --classes 22000 --candidates 10 --workers 16]``. A
store of random candidates in the real layout is written to a temporary folder. Every bucket of ``ranking`` then runs as
it does in a pipeline, but what it would cluster is only digested; the workers share nothing, so each reads manifests
and indexes for itself. One pass reads the class and the feature of every row, block after block. Both must see the same
features of each class, in the same order. The kernel counts the bytes (``rchar`` in ``/proc/self/io``): Linux only.

"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np

from bench.results import report
from pdstore import Identity, Layer, Rows, Store, StoreInfo
from pdstore.files import Files
from schemas.stages import RankingSettings
from schemas.tables import CANDIDATES
from stages.kernels.ranking import TooFewPoints
from stages.nodes import ranking
from stages.registry import STAGES
from stages.source.listing import ImageClass
from stages.unit import Setup, Unit

__all__ = ["main"]

NUM_FEATURES = 256
Digests = dict[int, tuple[int, str]]
"""Class -> number of its features, and a digest of their bytes."""


def write_store(folder: str, options: argparse.Namespace) -> str:
    """A layer ``candidates``: each image has one object, of a random class. Returns its fingerprint."""
    store = Store.create(folder, StoreInfo(options.images, 0, {}))
    layer = store.declare("candidates", Identity("candidates", 1), CANDIDATES, "bench")
    for block in range(options.blocks):
        rng = np.random.default_rng(block)
        num_rows = options.images * options.candidates
        columns = {
            "image_id": block * options.images + np.arange(num_rows) // options.candidates,
            "object_id": 0,
            "segment_id": np.arange(num_rows) % options.candidates,
            "category_id": np.repeat(rng.integers(0, options.classes, options.images), options.candidates),
            "score": rng.uniform(0.7, 1, num_rows),
            "area": rng.integers(100, 10_000, num_rows),
            "object_ratio": rng.random(num_rows),
            "feature": rng.standard_normal((num_rows, NUM_FEATURES), np.float32).astype(np.float16),
        }
        layer.commit(block, Rows.filled(CANDIDATES, num_rows, columns).sorted("category_id"))
    return layer.fingerprint


def bytes_read(work: Callable[[], Digests]) -> tuple[Digests, int, float]:
    """What ``work`` returns, how many bytes it read, and how many seconds it took."""
    before, started = _rchar(), time.perf_counter()
    found = work()
    return found, _rchar() - before, time.perf_counter() - started


def one_pass(layer: Layer) -> Digests:
    """Every block once, and of all classes at once."""
    hashes: dict[int, tuple[int, hashlib._Hash]] = {}
    for rows in layer.scan(["category_id", "feature"]):
        for category, index in rows.by("category_id").items():
            count, digest = hashes.get(category, (0, hashlib.sha256()))
            digest.update(rows["feature"][index].tobytes())
            hashes[category] = count + len(index), digest
    return {category: (count, digest.hexdigest()) for category, (count, digest) in hashes.items()}


def ranked(folder: str, fingerprint: str, options: argparse.Namespace) -> Digests:
    """Every bucket of ranking, by workers that each open the store anew."""
    classes = [ImageClass(number, f"n{number:08d}", str(number)) for number in range(options.classes)]
    num_buckets, seen = _num_buckets(options), list[tuple[int, str]]()

    def digest(features: np.ndarray, *_: object, **__: object) -> None:
        seen.append((len(features), hashlib.sha256(features.tobytes()).hexdigest()))
        raise TooFewPoints("not clustered here")

    with patch.object(ranking, "cluster", digest):
        for worker in range(options.workers):
            layer = Store(folder).layer("candidates", fingerprint)
            run = ranking.start(RankingSettings(), Setup(classes, {}, {}))
            share = range(worker * num_buckets // options.workers, (worker + 1) * num_buckets // options.workers)
            for bucket in share:
                run(Unit("ranking", bucket, Files(folder), {"candidates": [layer]}))
    return {category: found for category, found in enumerate(seen) if found[0]}


def main() -> None:
    """Print the bytes of both, and report their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = (("blocks", 40), ("images", 1024), ("classes", 22_000), ("candidates", 10), ("workers", 16))
    for name, default in defaults:
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ranking-passes-") as folder:
        fingerprint = write_store(folder, options)
        expected, whole, seconds = bytes_read(lambda: one_pass(Store(folder).layer("candidates", fingerprint)))
        features = sum(count for count, _ in expected.values()) * NUM_FEATURES * 2
        print(f"features  {features / 1e6:8.1f} MB\none pass  {whole / 1e6:8.1f} MB in {seconds:.1f} s", flush=True)
        found, sliced, seconds = bytes_read(lambda: ranked(folder, fingerprint, options))
        buckets = _num_buckets(options)
        print(f"ranking   {sliced / 1e6:8.1f} MB in {seconds:.1f} s: {buckets} buckets by {options.workers} workers")
    if found != expected:
        raise SystemExit("both ways must see the same features, but they do not")
    report("ranking.passes", [sliced / whole], note=f"{buckets} buckets by {options.workers} workers")


def _num_buckets(options: argparse.Namespace) -> int:
    return STAGES["ranking"].num_units(RankingSettings(), options.blocks, options.classes)


def _rchar() -> int:
    path = Path("/proc/self/io")
    if not path.exists():
        raise SystemExit("expected /proc/self/io, where Linux counts what a process reads, found no such file")
    return int(path.read_text().split()[1])


if __name__ == "__main__":
    main()
