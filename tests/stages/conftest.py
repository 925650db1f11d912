"""What the tests of stages share: a finished store, a folder of small photographs, a bench for hand-made layers."""

from __future__ import annotations

import os

# This must be set before torch is loaded: the tests share cores, and equal bytes need a fixed number of threads.
os.environ["OMP_NUM_THREADS"] = "1"

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pdstore import Identity, Layer, Rows, Store, StoreInfo, Table, layout
from pdstore.files import Files
from schemas.pipeline import PipelineSpec, SourceSpec
from schemas.tables import IMAGES
from stages.create.store import create_store
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.runner import run_node
from stages.source.listing import ImageClass
from stages.training_place import TrainingPlace
from stages.unit import Setup, Unit
from tests import compare_stores

_TRAIN = {
    "network": "{embedding_size: 8, hidden_sizes: [8, 8, 16, 16], pixel_dim: 32, hidden_dim: 32, num_queries: 8}",
    "steps": 4,
    "batch_size": 4,
    "num_points": 64,
    "warmup_steps": 1,
    "threads": 1,
    "checkpoint_every": 2,
    "augment.size_px": 96,
}
# A network that has hardly been trained has little confidence: every threshold is opened. The segmenter learns just
# enough to find objects that have more feature cells than there are parts.
_OVERRIDES: Mapping[str, Mapping[str, Any]] = {
    "segmenter-train": {**_TRAIN, "steps": 20, "warmup_steps": 3, "lr": 0.003},
    "proposal-train": {**_TRAIN, "lr": 0.00001},
    "distill-train": {**_TRAIN, "lr": 0.00001, "min_score": 0.0},
    "detic": {"min_score": 0.0},
    "grouping": {"input_scale": 1.0},
    "crf": {"gt_prob": 0.9, "gaussian_compat": 1, "bilateral_compat": 1, "iterations": 2},
    "proposals": {"min_score": 0.0},
    "candidates": {"min_score": 0.0, "min_inside": 0.0, "min_object_ratio": 0},
    "ranking": {"k": 3},
    "labels": {"min_segment_score": 0, "min_inside": 0},
    "predict": {"threshold": 0},
}
CLASSICAL = PipelineSpec.parse(
    {
        "block_size": 3,
        "nodes": {
            "ingest": {},
            "detic": {"inputs": {"images": "ingest"}, "settings": {"backend": "saliency"}},
            "grouping": {"inputs": {"images": "ingest", "objects": "detic"}, "settings": {"backend": "pixels"}},
            "crf": {"inputs": {"images": "ingest", "parts": "grouping"}, "settings": {"iterations": 2, "long_side": 0}},
            "candidates": {
                "inputs": {"images": "ingest", "objects": "detic", "segments": "crf"},
                "settings": {"min_score": 0},
            },
            "ranking": {"inputs": {"candidates": "candidates"}, "settings": {"k": 2}},
            "labels": {"inputs": {"images": "ingest", "objects": "detic", "segments": "crf", "clusters": "ranking"}},
        },
    },
    "pipeline",
)


def run_all(store: Store, nodes: Iterable[str] = (), **options: Any) -> None:
    """Run the named nodes, or all nodes in the pipeline's order."""
    project = Project.open(store)
    for name in list(nodes) or project.nodes:
        run_node(project, name, RunOptions(**{"max_error_rate": 1.0, **options}))


def contents(store: Store, nodes: Iterable[str] = ()) -> dict[str, dict[int, str]]:
    """Node -> unit -> digest of its content, of the current layers."""
    return {node: units for node, units in compare_stores.contents(store).items() if not nodes or node in set(nodes)}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of 36 drawn images on which the whole demo pipeline has run. Never write to it."""
    folder = tmp_path_factory.mktemp("finished")
    spec = read_preset("demo").model_copy(update={"block_size": 8})
    overrides = [
        f"{name}.{key}={value}"
        for name, node in spec.nodes.items()
        for key, value in _OVERRIDES.get(node.stage or name, {}).items()
    ]
    source = SourceSpec(kind="demo", root=str(folder / "images"), num_train=24, num_val=12)
    store = create_store(str(folder / "store"), source, spec, overrides)
    run_all(store)
    return store


@pytest.fixture
def copy_store(finished: Store, tmp_path: Path) -> Callable[..., Store]:
    """``copy_store(*nodes)``: a copy of the finished store, without what these nodes have written."""

    def copy(*without: str) -> Store:
        return _copy(finished, tmp_path, without)

    return copy


def _copy(store: Store, folder: Path, without: Iterable[str] = ()) -> Store:
    target = folder / f"copy{len(list(folder.iterdir()))}"
    shutil.copytree(store.url, target)
    for node in without:
        for part in (layout.layers(node), f"leases/{node}", f"checkpoints/{node}"):
            shutil.rmtree(target / part, ignore_errors=True)
        for selection in (target / "selections").glob(f"*-{node}-*"):
            selection.unlink()
    return Store(str(target))


@pytest.fixture(name="run_all")
def _run_all() -> Callable[..., None]:
    return run_all


@pytest.fixture(name="contents")
def _contents() -> Callable[..., dict[str, dict[int, str]]]:
    return contents


def picture(seed: int, size: int = 40) -> np.ndarray:
    """(size, size, 3) uint8: a bright patch of two colours on dark noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (size, size, 3))
    y, x = rng.integers(4, size // 3, 2)
    pixels[y : y + size // 2, x : x + size // 2] += np.array([150, 90, 20])
    pixels[y : y + size // 4, x : x + size // 2] += np.array([0, 60, 120])
    return pixels.clip(0, 255).astype(np.uint8)


def photographs(root: Path) -> Path:
    for number in range(12):
        path = root / ("cats" if number % 2 else "dogs") / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(path, quality=95)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image folder: 12 pictures in two class folders."""
    return photographs(tmp_path / "images")


@pytest.fixture
def classical(tmp_path: Path, folder: Path) -> Callable[..., Store]:
    """``classical(*overrides)``: a new store on the image folder, with a pipeline that needs no network."""

    def make(*overrides: str, spec: PipelineSpec = CLASSICAL, source: SourceSpec | None = None) -> Store:
        url = tmp_path / f"store{len(list(tmp_path.iterdir()))}"
        return create_store(str(url), source or SourceSpec(root=str(folder)), spec, overrides)

    return make


@pytest.fixture(scope="session")
def _grouped(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("grouped")
    source = SourceSpec(root=str(photographs(folder / "images")))
    store = create_store(str(folder / "store"), source, CLASSICAL)
    run_all(store, ["ingest", "detic", "grouping"])
    return store


@pytest.fixture
def grouped(_grouped: Store, tmp_path: Path) -> Store:
    """Twelve photographs in four blocks, grouped without a network; CRF, ranking and labels have not run."""
    return _copy(_grouped, tmp_path)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights & Biases writes its runs to files and sends nothing."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb_home"))


class Bench:
    """Hand-made layers for one block of four images, and the units that read them."""

    classes = (ImageClass(0, "n00000001", "cat"), ImageClass(1, "n00000002", "dog"))

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store.create(str(folder / "store"), StoreInfo(4, 0, {"root": str(folder)}))

    def put(self, node: str, table: Table, records: list[dict[str, Any]], unit: int = 0) -> Layer:
        """Commit rows as a unit of ``node``."""
        layer = self.store.declare(node, Identity(node, 1), table, "test")
        layer.commit(unit, Rows.from_records(table, records))
        return layer

    def images(self, *pictures: np.ndarray, unit: int = 0, split: str = "train", classes: Iterable[int] = ()) -> Layer:
        """Commit images of these classes (by default all cats), and write their files."""
        chosen = [self.classes[number] for number in (list(classes) or [0] * len(pictures))]
        records = []
        for number, (pixels, image_class) in enumerate(zip(pictures, chosen, strict=True)):
            key = f"{unit}_{number}.png"
            Image.fromarray(pixels).save(self.folder / key)
            record = {"image_id": 4 * unit + number, "key": key, "split": split, "wnid": image_class.wnid}
            record |= {"class_id": image_class.class_id, "class_name": image_class.name}
            record |= {
                "height": pixels.shape[0],
                "width": pixels.shape[1],
                "bytes": 0,
                "mode": "PNG/RGB",
                "orientation": 1,
            }
            records.append(record | {"sha256": "", "encoded": b""})
        return self.put("images", IMAGES, records, unit)

    def setup(self, **keywords: Any) -> Setup:
        return Setup(**{"classes": self.classes, "models": {}, "files": {}, **keywords})

    def unit(self, number: int = 0, **roles: Layer) -> Unit:
        layers = {role: [layer] for role, layer in roles.items()}
        place = TrainingPlace(self.store, "node", "layer")
        return Unit("node", number, Files(str(self.folder)), layers, training=place)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
