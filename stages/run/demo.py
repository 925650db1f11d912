"""The demo: draw a data set, run the whole pipeline on it, and report what each stage contributes."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdstore import Store, layout
from pdstore.errors import StaleSettings, UsageError
from pdstore.files import Files
from schemas.catalog import catalog_of
from schemas.pipeline import SourceSpec
from stages.create.store import create_store, ensure_listing
from stages.plan.changes import own_changes
from stages.plan.passes import passes
from stages.plan.presets import read_preset
from stages.plan.project import Project

__all__ = ["IMAGES", "DemoResult", "StageScore", "demo_scores", "open_demo", "run_demo"]

AR = "AR@20"
IMAGES = 1080
"""The number of images that are drawn by default."""
ELSEWHERE = "pd demo --store DIR"
ROWS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    # row of the table: node of its mIoU, node of its AR, nodes whose seconds are added up
    "one_part": ("detic", "detic", ("segmenter", "detic", "detic-human")),
    "grouping": ("grouping-labels", "grouping", ("grouping", "grouping-human")),
    "crf": ("crf-labels", "crf", ("crf", "crf-human")),
    "proposals": ("", "proposals", ("proposal-train", "proposals")),
    "labels": ("labels", "labels", ("candidates", "ranking", "labels")),
    "distill": ("distill", "distill", ("distill-train", "distill")),
}


@dataclass(frozen=True)
class StageScore:
    """One row of the table: honest protocol, held-out images, in percent; None if a stage has no such number."""

    name: str
    ar: float | None
    miou: float | None
    seconds: float

    def to_dict(self) -> dict[str, float | None]:
        return {"ar": self.ar, "miou": self.miou, "seconds": self.seconds}


@dataclass(frozen=True)
class DemoResult:
    """The result of the demo. ``seconds`` is the wall time of this call."""

    store: str
    seed: int
    images: int
    scores: tuple[StageScore, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        rows = {score.name: score.to_dict() for score in self.scores}
        one_part = rows.pop("one_part")
        return {"nodes": rows, "one_part": one_part, "seed": self.seed, "seconds": round(self.seconds, 1)}


def open_demo(url: str, seed: int, images: int | None = None, overrides: Sequence[str] = ()) -> Store:
    """The demo's store: a new one, or the store of an earlier call, which may not have finished.

    Args:
        images: how many images are drawn, five out of six for training. None accepts an existing demo of any number
            and otherwise means ``IMAGES``.
        overrides: as for ``pd init``. They must not change the results of an existing demo.

    Raises:
        UsageError: the store at ``url`` is not a demo, or has another seed or number of images; an override is wrong.
        StaleSettings: the demo at ``url`` has other settings.
    """
    if not Files(url).exists(layout.STORE):
        spec, count = read_preset("demo"), images or IMAGES
        seeded = [f"{name}.seed={seed}" for name in ("segmenter", "proposal-train", "distill-train")]
        held_out = max(1, count // 6)
        source = SourceSpec(
            kind="demo", root=str(Files(url).local("images")), seed=seed, num_train=count - held_out, num_val=held_out
        )
        return create_store(url, source, spec, [*seeded, *overrides])
    store = Store(url)
    _check_source(store, seed, images)
    ensure_listing(store)
    _check_settings(store, overrides)
    return store


def _check_source(store: Store, seed: int, images: int | None) -> None:
    source = SourceSpec.of(store)
    if source.kind != "demo":
        fix = f"Choose another folder: {ELSEWHERE}"
        raise UsageError("the store here is not a demo: its images were not drawn by pd demo", store.url, fix)
    if source.seed != seed:
        fix = f"Use its seed: --seed {source.seed}. Or choose another folder: {ELSEWHERE}"
        raise UsageError(f"the demo here has seed {source.seed}, not {seed}", store.url, fix)
    drawn = source.num_train + source.num_val
    if images not in (None, drawn):
        fix = f"Leave --images out. Or choose another folder: {ELSEWHERE}"
        raise UsageError(f"the demo here has {drawn} images, not {images}", store.url, fix)


def _check_settings(store: Store, overrides: Sequence[str]) -> None:
    """Raises StaleSettings if the overrides change results."""
    recorded, wanted = Project.open(store).nodes, Project.open(store, overrides).nodes
    changed = [line for n in recorded for line in own_changes(n, recorded[n].identity, wanted[n].identity)]
    if changed:
        command = shlex.join(["pd", "--store", store.url, "run", *overrides, "--new-layer"])
        fix = f"To compare both settings: {command}. For a demo with these settings alone: {ELSEWHERE}"
        raise StaleSettings(f"the demo here has other settings: {'; '.join(changed)}", store.url, fix)


def run_demo(project: Project, run: Callable[[Sequence[str]], object]) -> DemoResult:
    """Run whatever the demo still lacks.

    Args:
        run: computes the missing units of a node, or of the nodes of a pass.
    """
    started = time.monotonic()
    for names in passes(project.pipeline, project.nodes):
        run(names)
    store, seconds = project.store, time.monotonic() - started
    return DemoResult(store.url, project.source.seed, project.listing.images, demo_scores(store), seconds)


def demo_scores(store: Store) -> tuple[StageScore, ...]:
    """The rows of the demo's table, from the store's ``metrics`` and ``commits``."""
    catalog = catalog_of(store)
    metrics = catalog.query(
        f"SELECT evaluated, metric, value FROM metrics WHERE protocol = 'honest' AND class_name = '' "
        f"AND metric IN ('C-mIoU', '{AR}')"
    ).to_pylist()
    values = {(row["evaluated"], row["metric"]): row["value"] for row in metrics}
    durations = catalog.query(
        "SELECT node, sum(seconds) AS seconds FROM commits JOIN layers USING (node, layer) WHERE is_current GROUP BY 1"
    ).to_pylist()
    seconds = {row["node"]: row["seconds"] for row in durations}
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
