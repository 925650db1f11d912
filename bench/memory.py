"""Peak memory of each image stage on a folder of 500 x 375 photographs, and with one much larger picture among them.

``python -m bench.memory [IMAGES]`` prints, for each node, the peak resident memory of the process that computes it,
with one further picture of 0.2, 12 or 48 megapixels (JPEG), and of 48 megapixels as PNG. Networks have random weights,
200 queries and few channels, so what is measured is what pictures and masks take.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

LAST = {"0.2 MP": (500, 375), "12 MP": (4000, 3000), "48 MP": (8000, 6000), "48 MP, PNG": (8000, 6000)}
SHOWN = ("ingest", "detic", "grouping", "crf", "proposals", "labels", "distill")
PIPELINE = """
description: Every stage that reads pictures, on networks with random weights.
block_size: 1024
seed: 0
nodes:
  ingest: {}
  detic: {inputs: {images: ingest}, settings: {backend: saliency, max_objects: 1}}
  colours: {stage: grouping, inputs: {images: ingest, objects: detic}, settings: {backend: pixels, k: 4, metric: l2}}
  model:
    stage: proposal-train
    inputs: {images: ingest, parts: colours}
    settings: &train {steps: 1, batch_size: 2, network: {num_queries: 200}, augment: {size_px: 64}, num_points: 64}
  grouping:
    inputs: {images: ingest, objects: detic, model: model}
    settings: {backend: backbone, maps: [1, 2], k: 4}
  crf: {inputs: {images: ingest, parts: grouping}}
  proposals: {inputs: {images: ingest, model: model}}
  candidates: {inputs: {images: ingest, objects: detic, segments: proposals}, settings: {min_score: 0.0}}
  ranking: {inputs: {candidates: candidates}, settings: {k: 2}}
  labels: {inputs: {images: ingest, objects: detic, segments: proposals, clusters: ranking}, settings: {crf: {}}}
  distill-train: {inputs: {images: ingest, labels: labels, model: model}, settings: *train}
  distill: {stage: predict, inputs: {images: ingest, model: distill-train}}
"""
_ONE = """
import resource, sys
from cli.main import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def photograph(path: Path, size: tuple[int, int], seed: int) -> None:
    """A disc on noise, which takes long to compress away."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 60, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    height = size[1]
    x, y = rng.uniform(0.35, 0.65, 2) * size
    radius = height / 4
    ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill=(210, 60, 80))
    ImageDraw.Draw(picture).rectangle((x - radius / 3, y, x + radius / 3, y + radius), fill=(60, 80, 220))
    picture.save(path)


def peaks(folder: Path, images: int, size: tuple[int, int], suffix: str) -> dict[str, int]:
    """Node -> peak resident memory in MiB of the process that computes it."""
    (folder / "in/thing").mkdir(parents=True)
    for number in range(images):
        photograph(folder / f"in/thing/{number}.jpg", (500, 375), number)
    photograph(folder / f"in/thing/last{suffix}", size, 99)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    pd(folder, "init", "st", "--images", "in", "--preset", "pipeline.yaml")
    nodes = [line.split(":")[0].strip() for line in PIPELINE.splitlines() if line.startswith("  ") and line[2] != " "]
    return {node: pd(folder, "--store", "st", "stage", "run", node) for node in nodes}


def pd(folder: Path, *words: str) -> int:
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", _ONE, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"pd {' '.join(words)}: {done.stderr}")
    return int(done.stdout.splitlines()[-1])


def main() -> None:
    """Print one row per node."""
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    found = {}
    for name, size in LAST.items():
        with tempfile.TemporaryDirectory(prefix="pd-memory-") as folder:
            found[name] = peaks(Path(folder), images, size, ".png" if "PNG" in name else ".jpg")
            print(f"{name} done", file=sys.stderr, flush=True)
    print("Peak resident memory in MiB:\n")
    print("| node | " + " | ".join(f"with {name}" for name in LAST) + " |\n" + "|---" * (len(LAST) + 1) + "|")
    for node in SHOWN:
        print(f"| {node} | " + " | ".join(str(found[name][node]) for name in LAST) + " |")


if __name__ == "__main__":
    main()
