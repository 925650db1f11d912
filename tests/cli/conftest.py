"""A small folder of pictures, a pipeline without weights, and the command ``pd`` in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cli.main import run_command

PIPELINE = """
description: Classical stages on blocks of two images.
block_size: 2
nodes:
  ingest: {}
  detic: {inputs: {images: ingest}, settings: {backend: saliency}}
  grouping:
    inputs: {images: ingest, objects: detic}
    settings: {backend: pixels, metric: l2, k: 2}
  crf: {inputs: {images: ingest, parts: grouping}, settings: {iterations: 2}}
  candidates: {inputs: {images: ingest, objects: detic, segments: crf}, settings: {min_score: 0.0}}
  ranking: {inputs: {candidates: candidates}, settings: {k: 2, metric: l2}}
"""
SIZE_PX = 48


@dataclass(frozen=True)
class Result:
    """What a command gave back."""

    code: int
    out: str
    err: str


Pd = Callable[..., Result]


@pytest.fixture
def pd(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pd:
    """Runs ``pd`` in this process, in a folder that is not a store."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*words: object) -> Result:
        capsys.readouterr()
        code = run_command([str(word) for word in words])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def draw(path: Path, number: int) -> None:
    """Draw a bright disc with a dark half on a dull background."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (SIZE_PX, SIZE_PX), (40, 60, 80))
    pen, left = ImageDraw.Draw(image), 8 + number % 5
    pen.ellipse((left, 10, left + 26, 36), (230, 190, 40))
    pen.pieslice((left, 10, left + 26, 36), 0, 180, (150, 30, 30))
    image.save(path, quality=95)


def draw_noise(path: Path) -> None:
    """Draw uniform grey: an image without any object."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((SIZE_PX, SIZE_PX, 3), 127, np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six pictures of two classes."""
    folder = tmp_path / "photos"
    for number in range(6):
        draw(folder / ("cat", "dog")[number % 2] / f"{number}.png", number)
    return folder


@pytest.fixture
def pipeline_file(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def store(pd: Pd, photos: Path, pipeline_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the six pictures, in three blocks. PD_STORE names it."""
    path = tmp_path / "store"
    assert pd("init", path, "--images", photos, "--preset", pipeline_file).code == 0
    monkeypatch.setenv("PD_STORE", str(path))
    return path


@pytest.fixture
def pair(pd: Pd, store: Path) -> Path:
    """The same store, whose images are read, with a second node ``sure`` that asks what ``detic`` asks."""
    words = ("--stage", "detic", "--input", "images=ingest", "sure.backend=saliency", "sure.min_score=0.1")
    assert pd("node", "add", "sure", *words).code == 0
    assert pd("run", "ingest").code == 0
    return store


def assert_error(result: Result, code: int, *words: object) -> None:
    """Stderr has exactly one error, which contains all the words; there is no traceback and nothing on stdout."""
    assert result.code == code, result
    assert result.out == ""
    assert result.err.count("error: ") == 1 and "Traceback" not in result.err
    for word in words:
        assert str(word) in result.err, (word, result.err)


def committed(store: Path) -> dict[str, str]:
    """Every committed file, the recorded pipeline and the listing -> their digests."""
    kept = [p for p in sorted(store.rglob("*")) if p.is_file() and p.relative_to(store).parts[0] in _KEPT]
    return {str(p.relative_to(store)): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


_KEPT = {"layers", "pipeline.json", "store.json", "listings", "classes.parquet"}
