"""Everything that reads a store, each as a function from the store's folder to what it found there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pdstore import Store
from pdstore.verify import verify
from schemas.catalog import catalog_of
from stages.exchange.export import Request, export
from stages.loading.query import choose
from stages.plan.project import Project
from stages.plan.states import states
from stages.run.runner import run_node
from tests.damage.damaged_store import FROZEN

__all__ = ["READERS", "damage_of"]

QUERIES = (
    "SELECT node, image_id, part_id, area, score, mask_area(rle, height, width) FROM parts ORDER BY ALL",
    "SELECT o.*, i.key, c.* FROM objects_kept o JOIN images i USING (image_id) CROSS JOIN classes c ORDER BY ALL",
    "SELECT node, layer, unit, rows, content FROM commits ORDER BY ALL",
    "SELECT p.node, layer, identity, sum(area) FROM parts_all p JOIN layers l USING (layer) GROUP BY ALL ORDER BY ALL",
)


def status(store: Path) -> Any:
    project = Project.open(Store(str(store)))
    return [{k: v for k, v in state.to_dict().items() if k != "seconds"} for state in states(project)]


def sql(store: Path) -> Any:
    catalog = catalog_of(Store(str(store)))
    return [catalog.query(query).to_pylist() for query in QUERIES]


def stage_run(store: Path) -> Any:
    """Compute the labels, which read images, objects, parts and clusters."""
    return _run(store, "labels")


def training(store: Path) -> Any:
    """Go on with the training, whose stream reads the frozen images and the parts, and commit its network."""
    return _run(store, "proposal-train")


def frozen(store: Path) -> Any:
    """What the frozen query chose, as the data sets for PyTorch read it."""
    return choose(Store(str(store)), FROZEN, freeze_as="mine").ids.to_pylist()


def exported(store: Path) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "parts.json"
        export(Store(str(store)), Request("coco", "crf", out))
        return out.read_bytes()


def _run(store: Path, node: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "store"
        shutil.copytree(store, copy)
        project = Project.open(Store(str(copy)))
        run_node(project, node)
        return {unit: manifest.content for unit, manifest in project.layer(node).manifests().items()}


READERS: dict[str, Callable[[Path], Any]] = {
    "status": status,
    "sql": sql,
    "stage run": stage_run,
    "training": training,
    "frozen": frozen,
    "export": exported,
}


def damage_of(store: Path) -> list[str]:
    """The files that verify names, with the problem of each."""
    return [f"{item.file}: {item.problem}" for item in verify(Store(str(store))) if item is not None]
