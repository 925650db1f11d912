"""The stages that run a network on a GPU: images per second, how long it waits, a training step, memory of the head.

Run: ``make gpu``, which runs the tests marked ``gpu`` before, or ``python -m bench.gpu [PART …] [--device cpu]
[--small]``. Networks have random weights, pictures are drawn. ``proposals``, ``predict`` and ``grouping`` run as nodes,
and beside that with whole masks or feature maps on the host, for which the network waits; both ways must give the same.
The share of time that the device waits is 1 - (time of its kernels, by the profiler) / (time that passes without the
profiler). A part that fails is reported, and the others go on. Numbers are printed as Markdown and, unless ``--small``
is given, written to ``bench/out/gpu.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

from bench.device_time import busy_seconds, synchronise
from bench.gpu_ways import WAYS, Scene, Way, agreement, make_files
from bench.results import take_turns
from schemas.stages import Precision, ProposalTrainSettings
from schemas.training import AugmentSettings, NetworkSettings
from stages.nodes import proposal_train
from stages.train.log import read_log

__all__ = ["FULL", "SMALL", "Size", "main"]

OUT = Path(__file__).parent / "out" / "gpu.json"
PARTS = (*WAYS, "training", "head")


@dataclass(frozen=True)
class Size:
    """How large everything is: the network of the paper on pictures of 640 x 480, or a tiny one on tiny pictures.

    Attributes:
        images: how many a node computes. host_images: how many are computed with the work on the host, which is slow.
        batch: images in the network at once, in inference and in a training step.
        steps: of the training, of which ``warm_up`` are not counted. square_px: side of what the network sees in it.
        head: arguments of :mod:`bench.head`: object classes, queries, width.
    """

    network: NetworkSettings
    images: int
    host_images: int
    height: int
    width: int
    batch: int
    steps: int
    warm_up: int
    square_px: int
    num_points: int
    repeats: int
    head: tuple[int, int, int]


FULL = Size(NetworkSettings(preset="swin-l"), 256, 8, 480, 640, 8, 18, 6, 640, 12_544, 2, (22_000, 200, 256))
SMALL = Size(NetworkSettings(preset="tiny"), 3, 2, 64, 96, 2, 2, 1, 64, 64, 1, (50, 5, 8))


def stage_speed(name: str, way: Way, scene: Scene, size: Size, device: str) -> dict[str, Any]:
    """Images per second of the network alone, of the node, and of the node's work on the host."""
    same = agreement(way.answer(way.node()), way.host(), scene.host_images)
    if same < 0.98:
        raise AssertionError(f"{name}: the node and the plain way agree in {same:.1%} of the masks")

    def waited(work: Callable[[], object]) -> None:
        work()
        synchronise(device)

    runs = {"network": way.network, "node": way.node, "host": way.host}
    times = take_turns({label: partial(waited, work) for label, work in runs.items()}, size.repeats)
    found: dict[str, Any] = {"name": name, "equal_masks": round(same, 4)}
    for label in runs:
        wall = min(times[label].wall)
        images = scene.host_images if label == "host" else scene.images
        found[f"{label}_images_per_s"] = round(images / wall, 3)
        if label != "network":
            found[f"{label}_wait_ratio"] = round(max(0.0, 1 - busy_seconds(runs[label], device) / wall), 4)
    return found


def training_step(scene: Scene, size: Size, device: str, folder: Path) -> dict[str, Any]:
    """Seconds per step, and the share of waiting for data, of a proposal training with the settings of ImageNet-1K."""
    batch = size.batch
    while True:
        try:
            return {
                "name": "training step",
                "batch": batch,
                **_trained(scene, size, batch, device, folder / str(batch)),
            }
        except torch.OutOfMemoryError:
            if batch == 1:
                raise
            batch //= 2
            torch.cuda.empty_cache()


def _trained(scene: Scene, size: Size, batch: int, device: str, folder: Path) -> dict[str, Any]:
    settings = ProposalTrainSettings(
        network=size.network,
        freeze=("pixel_level_module.encoder", "pixel_level_module.decoder.encoder"),
        steps=size.steps,
        batch_size=batch,
        num_points=size.num_points,
        amp=True,
        checkpoint_activations=True,
        augment=AugmentSettings(size_px=size.square_px),
    )
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    unit = scene.training_unit(folder)
    proposal_train.start(settings, scene.setup(device))(unit)
    assert unit.training is not None
    lines = list(read_log(unit.training.folder))[size.warm_up :]
    spent = [batch / line["samples_per_s"] for line in lines]
    waited = sum(seconds * line["data_wait_ratio"] for seconds, line in zip(spent, lines, strict=True))
    return {
        "step_s": round(sorted(spent)[len(spent) // 2], 4),
        "samples_per_s": round(batch * len(spent) / sum(spent), 3),
        "data_wait_ratio": round(waited / sum(spent), 4),
        "memory_mib": round(torch.cuda.max_memory_allocated() / 2**20) if device == "cuda" else None,
    }


def head_memory(size: Size, device: str) -> dict[str, Any]:
    """Peak memory and milliseconds of one prediction (a step has ten), with the sliced head and with all logits."""
    objects, queries, width = map(str, size.head)
    found: dict[str, Any] = {"name": "head"}
    for form in ("sliced", "naive"):
        words = ["--objects", objects, "--queries", queries, "--width", width, "--one", form, device, str(size.batch)]
        command = [sys.executable, "-m", "bench.head", *words]
        cost = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        found |= {f"{form}_ms": round(cost["ms"], 3), f"{form}_mib": round(cost["mib"], 1)}
    return found


def measured(
    size: Size, device: str, precision: Precision, wanted: Sequence[str] = PARTS
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the parts that are wanted, and the names of those that failed."""
    rows, failed = [], []
    with tempfile.TemporaryDirectory(prefix="pd-gpu-") as name:
        folder = Path(name)
        make_files(folder, size.network, size.images, size.height, size.width)
        scene = Scene(folder, size.host_images, size.batch, device, precision)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            stage: partial(lambda stage, make: stage_speed(stage, make(scene), scene, size, device), stage, make)
            for stage, make in WAYS.items()
        }
        parts["training"] = lambda: training_step(scene, size, device, folder)
        parts["head"] = lambda: head_memory(size, device)
        for part in wanted:
            started = time.monotonic()
            try:
                rows.append(parts[part]())
                print(f"{json.dumps(rows[-1])}  ({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
            except Exception:
                # A GPU may be at hand for minutes only: the other numbers are worth having; the exit code says it.
                traceback.print_exc()
                failed.append(part)
            if device == "cuda":
                torch.cuda.empty_cache()
    return rows, failed


def print_tables(rows: list[dict[str, Any]]) -> None:
    """As Markdown, for docs/measurements.md."""
    heads = "network alone, images/s | node, images/s | work on the host, images/s | device waits, node | on the host"
    print(f"\n| stage | {heads} |\n|---|---|---|---|---|---|")
    for row in rows:
        if "node_images_per_s" in row:
            speeds = [f"{row[f'{label}_images_per_s']:.1f}" for label in ("network", "node", "host")]
            waits = [f"{row[f'{label}_wait_ratio']:.1%}" for label in ("node", "host")]
            print(f"| {' | '.join([row['name'], *speeds, *waits])} |")
    for row in rows:
        if row["name"] == "training step":
            memory = "" if row["memory_mib"] is None else f", peak memory {row['memory_mib']} MiB"
            wait = f"{row['data_wait_ratio']:.2%} waiting for data (below 2 % is asked)"
            print(f"\nA training step of {row['batch']} images: {row['step_s']:.3f} s, {wait}{memory}.")
        if row["name"] == "head":
            sliced, naive = (
                f"{row[f'{form}_mib']:.0f} MiB, {row[f'{form}_ms']:.1f} ms" for form in ("sliced", "naive")
            )
            print(f"\nOne prediction with the sliced head: {sliced}; with all logits: {naive}.")


def main(words: Sequence[str] | None = None) -> int:
    """Measure everything; the exit code is 1 if a part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[[], *PARTS], help=f"{', '.join(PARTS)}; all")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="a tiny network and few pictures: does everything run?")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "float16"), help="by default bfloat16 on a GPU")
    options = parser.parse_args(words)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device; see whether everything runs with: --device cpu --small")
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    precision: Precision = options.precision or ("bfloat16" if options.device == "cuda" else "float32")
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    size = SMALL if options.small else FULL
    print(f"{name}; {versions}; {size.images} pictures of {size.width} x {size.height}, {precision}", flush=True)
    rows, failed = measured(size, options.device, precision, options.parts or PARTS)
    print_tables(rows)
    if not options.small:
        kept = {"device": name, "versions": versions, "precision": precision, "rows": rows, "failed": failed}
        OUT.parent.mkdir(exist_ok=True)
        OUT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    for part in failed:
        print(f"{part} failed", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
