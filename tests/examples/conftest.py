"""What the tests of the examples share: a folder of drawn pictures, and the store that own_images.py makes of it."""

from __future__ import annotations

import os

# Before torch is loaded: the tests share their cores.
os.environ["OMP_NUM_THREADS"] = "1"

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
NUM_IMAGES, SIDE = 8, 64
OVERRIDES = ["grouping.k=2", "ranking.k=2", "crf.long_side=0"]
# Two steps teach a network nothing: no proposal is sure enough to be drawn.
OVERRIDES += ["proposal-train.steps=2", "proposal-train.augment.size_px=64", "proposals.min_score=0.99"]


def load(name: str) -> ModuleType:
    """The example ``name`` as a module; its file lies in no package."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def example() -> Callable[[str], ModuleType]:
    return load


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures in two class folders: a bright patch of two colours on dark noise."""
    root = tmp_path_factory.mktemp("photos")
    for number in range(NUM_IMAGES):
        pixels = np.random.default_rng(number).integers(0, 40, (SIDE, SIDE, 3))
        top, left = 6 + number, 12 + 2 * number
        pixels[top : top + 32, left : left + 32] += np.array([170, 90, 20])
        pixels[top : top + 16, left : left + 32] += np.array([0, 90, 140])
        path = root / ("cats" if number % 2 else "dogs") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return root


@pytest.fixture(scope="session")
def arguments(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words of the command line that makes the store; its picture lies beside the store."""
    folder = tmp_path_factory.mktemp("own")
    return [str(photos), str(folder / "store"), *OVERRIDES, "--out", str(folder / "sheet.png")]


@pytest.fixture(scope="session")
def made(arguments: list[str]) -> Path:
    """The store that own_images.py made. Tests add to it and take nothing away."""
    assert load("own_images").main(arguments) == 0
    return Path(arguments[1])
