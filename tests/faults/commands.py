"""Commands of ``pd`` on a small store, each in a process of its own that is forked from one which has loaded all.

A command ends with its process, so nothing that it remembers or holds reaches the next one.
"""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults.failing_calls import FailingCalls, Fault
from tests.forks import in_process

__all__ = ["COMMANDS", "Ended", "make_pictures", "pd"]

PIPELINE = """
description: Three stages and a training of two steps.
block_size: 2
nodes:
  ingest: {}
  detic: {inputs: {images: ingest}, settings: {backend: saliency}}
  grouping: {inputs: {images: ingest, objects: detic}, settings: {backend: pixels, k: 2}}
  proposal-train:
    inputs: {images: ingest, parts: grouping}
    settings:
      network: {embedding_size: 8, hidden_sizes: [8, 8, 8, 8], pixel_dim: 32, hidden_dim: 32, num_queries: 4}
      steps: 2
      batch_size: 2
      num_points: 16
      warmup_steps: 1
      threads: 1
      checkpoint_every: 1
      keep: 1
      augment: {size_px: 32}
      min_object_ratio: 0.0
      min_score: 0.0
"""
QUERY = "SELECT image_id, part_id, area FROM parts ORDER BY ALL"
COMMANDS: dict[str, tuple[str, ...]] = {
    "init": ("init", "STORE", "--images", "IMAGES", "--preset", "PRESET"),
    "stages": ("run", "ingest", "detic", "grouping"),
    "training": ("run", "proposal-train"),
    "compact": ("compact",),
    "sql": ("sql", QUERY),
    "status": ("status",),
    "verify": ("verify",),
}
"""Name -> words of a command; those in capitals stand for paths."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Attributes:
        calls: how many calls on the store it made. failed: which of them failed first, or "".
    """

    code: int
    out: str
    err: str
    calls: int
    failed: str


def make_pictures(folder: Path, count: int = 4) -> None:
    """The pictures IMAGES, of two classes, and the file PRESET."""
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 60, (32, 32, 3))
        pixels[6:22, 8:24] += np.array([150, 90, 20])
        pixels[6:14, 8:24] += np.array([0, 60, 120])
        path = folder / "images" / ("cats" if number % 2 else "dogs") / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    (folder / "preset.yaml").write_text(PIPELINE)


def pd(folder: Path, name: str, store: Path, fault: Fault | None = None, at: int | None = None) -> Ended:
    """Run a command of :data:`COMMANDS`. A call of it fails, if one is named."""
    places = {"STORE": str(store), "IMAGES": str(folder / "images"), "PRESET": str(folder / "preset.yaml")}
    words = [places.get(word, word) for word in COMMANDS[name]]
    words = words if name == "init" else ["--store", str(store), *words]
    ended = in_process(run_words, words, str(store), fault, at, is_loaded=True)
    assert isinstance(ended, Ended)
    return ended


def run_words(words: list[str], store: str, fault: Fault | None = None, at: int | None = None) -> Ended:
    """In the process of the command."""
    from cli.main import run_command

    calls = FailingCalls(store, fault, at)
    calls.install()
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = run_command(words)
    return Ended(code, out.getvalue(), err.getvalue(), calls.count, calls.failed)
