"""The demo: draw a data set, run the whole pipeline on it, and say what each stage was worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdstore import Store, layout
from pdstore.errors import UsageError
from pdstore.files import Files
from schemas.catalog import catalog_of
from schemas.pipeline import SourceSpec
from stages.create import create_store, ensure_listing
from stages.pipeline import load_recorded, read_preset
from stages.progress import Progress
from stages.runner import RunOptions, run_node

__all__ = ["DemoResult", "StageScore", "demo_scores", "open_demo", "run_demo"]

AR = "AR@20"
ROWS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    # row of the table: node of its mIoU, node of its AR, nodes whose seconds it took
    "one_part": ("detic", "detic", ("segmenter", "detic", "detic-human")),
    "grouping": ("grouping-labels", "grouping", ("grouping", "grouping-human")),
    "crf": ("crf-labels", "crf", ("crf", "crf-human")),
    "proposals": ("", "proposals", ("proposal-train", "proposals")),
    "labels": ("labels", "labels", ("ranking", "labels")),
    "distill": ("distill", "distill", ("distill-train", "distill")),
}


@dataclass(frozen=True)
class StageScore:
    """One row: honest protocol, held-out images, percent; None where a stage has no such number."""

    name: str
    ar: float | None
    miou: float | None
    seconds: float

    def to_dict(self) -> dict[str, float | None]:
        return {"ar": self.ar, "miou": self.miou, "seconds": self.seconds}


@dataclass(frozen=True)
class DemoResult:
    """What the demo found. ``seconds`` is the wall time of this call."""

    store: str
    seed: int
    images: int
    scores: tuple[StageScore, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        rows = {score.name: score.to_dict() for score in self.scores}
        one_part = rows.pop("one_part")
        return {"nodes": rows, "one_part": one_part, "seed": self.seed, "seconds": round(self.seconds, 1)}


def open_demo(url: str, seed: int, images: int = 1080, overrides: Sequence[str] = ()) -> Store:
    """The demo's store: a new one, or the one that an earlier call made and perhaps did not finish.

    Args:
        images: how many are drawn, five of six for training. overrides: as of ``pd init``; both of a new store only.

    Raises:
        UsageError: there is a store at ``url`` that is not the demo of this seed.
    """
    if not Files(url).exists(layout.STORE):
        spec = read_preset("demo")
        seeded = [f"{name}.seed={seed}" for name in ("segmenter", "proposal-train", "distill-train")]
        held_out = max(1, images // 6)
        source = SourceSpec(
            kind="demo", root=str(Files(url).local("images")), seed=seed, num_train=images - held_out, num_val=held_out
        )
        return create_store(url, source, spec, [*seeded, *overrides])
    store = Store(url)
    if (store.info.source.get("kind"), store.info.source.get("seed")) != ("demo", seed):
        found = f"{store.info.source.get('kind')}, seed {store.info.source.get('seed')}"
        raise UsageError(f"a demo store of seed {seed}", found, url, "Choose another folder: pd demo --store DIR")
    return store


def run_demo(store: Store, progress: Progress, should_stop: Callable[[], bool]) -> DemoResult:
    """Run what is missing of the demo.

    Raises:
        PdError: see :func:`stages.runner.run_node`.
    """
    started = time.monotonic()
    images = ensure_listing(store).images
    pipeline = load_recorded(store)
    for name in pipeline.nodes:
        run_node(store, pipeline, name, RunOptions(wait=True), progress, should_stop)
    return DemoResult(store.url, int(store.info.source["seed"]), images, demo_scores(store), time.monotonic() - started)


def demo_scores(store: Store) -> tuple[StageScore, ...]:
    """The rows of the demo's table, from the store's ``metrics`` and ``commits``."""
    catalog = catalog_of(store)
    metrics = catalog.query(
        f"SELECT evaluated, metric, value FROM metrics WHERE protocol = 'honest' AND class_name = '' "
        f"AND metric IN ('C-mIoU', '{AR}')"
    ).to_pylist()
    values = {(row["evaluated"], row["metric"]): row["value"] for row in metrics}
    spent = catalog.query(
        "SELECT node, sum(seconds) AS seconds FROM commits JOIN layers USING (node, layer) WHERE is_current GROUP BY 1"
    ).to_pylist()
    seconds = {row["node"]: row["seconds"] for row in spent}
    return tuple(
        StageScore(
            name,
            _rounded(values.get((ar_node, AR))),
            _rounded(values.get((miou_node, "C-mIoU"))),
            round(sum(seconds.get(node, 0.0) for node in nodes), 1),
        )
        for name, (miou_node, ar_node, nodes) in ROWS.items()
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
