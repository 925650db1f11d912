"""The demo: draw a data set, run the whole pipeline on it, and report what each stage contributes."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

from pdstore import Store, layout
from pdstore.errors import StaleSettings, UsageError
from pdstore.files import Files
from schemas.catalog import catalog_of
from schemas.pipeline import DrawingName, NodeSpec, PipelineSpec, SourceSpec
from stages.create.store import create_store, ensure_listing
from stages.drawn.presence import SHAPES
from stages.plan.changes import own_changes
from stages.plan.passes import passes
from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.registry import STAGES

__all__ = ["IMAGES", "PRESET", "DemoResult", "StageScore", "demo_scores", "open_demo", "preset_differences", "run_demo"]

AR = "AR@20"
IMAGES = 1080
"""The number of images that are drawn by default."""
PRESET = "demo"
"""The pipeline that runs by default."""
ELSEWHERE = "pd demo --store DIR"
LISTED = 4
"""The differences that an error lists."""
ROWS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    # row of the table: node of its mIoU, node of its AR, nodes whose seconds are added up
    "one_part": ("detic", "detic", ("segmenter", "detic", "detic-human")),
    "grouping": ("grouping-labels", "grouping", ("grouping", "grouping-human")),
    "crf": ("crf-labels", "crf", ("crf", "crf-human")),
    "proposals": ("", "proposals", ("proposal-train", "proposals")),
    "labels": ("labels", "labels", ("candidates", "ranking", "labels")),
    "distill": ("distill", "distill", ("distill-train", "distill")),
}
REPEATED = ("proposals", "labels", "distill")
"""The rows that a further round of the pipeline has again."""


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


def open_demo(
    url: str,
    seed: int,
    images: int | None = None,
    overrides: Sequence[str] = (),
    *,
    drawing: DrawingName | None = None,
    preset: str | None = None,
) -> Store:
    """The demo's store: a new one, or the store of an earlier call, which may not have finished.

    Args:
        images: how many images are drawn, five out of six for training. None accepts an existing demo of any number
            and otherwise means ``IMAGES``.
        overrides: as for ``pd init``. They must not change the results of an existing demo.
        drawing: what is drawn. None accepts an existing demo of any drawing, and otherwise means ``shapes``.
        preset: the pipeline. None accepts the one of an existing demo, and otherwise means ``PRESET``.

    Raises:
        UsageError: the store at ``url`` is not a demo, or has another seed, drawing or number of images; an override or
            the preset is wrong.
        StaleSettings: the demo at ``url`` has other settings.
    """
    if not Files(url).exists(layout.STORE):
        spec, count = read_preset(preset or PRESET), images or IMAGES
        seeded = [f"{name}.seed={seed}" for name, node in spec.nodes.items() if _is_training(name, node)]
        held_out = max(1, count // 6)
        source = SourceSpec(
            kind="demo",
            root=str(Files(url).local("images")),
            seed=seed,
            num_train=count - held_out,
            num_val=held_out,
            drawing=drawing or SHAPES,
        )
        return create_store(url, source, spec, [*seeded, *overrides])
    store = Store(url)
    _check_source(store, seed, images, drawing)
    ensure_listing(store)
    if preset:
        _check_preset(store, preset)
    _check_settings(store, overrides)
    return store


def _is_training(name: str, node: NodeSpec) -> bool:
    stage = STAGES.get(node.stage or name)
    return stage is not None and stage.is_training


def _check_source(store: Store, seed: int, images: int | None, drawing: DrawingName | None) -> None:
    source = SourceSpec.of(store)
    if source.kind != "demo":
        fix = f"Choose another folder: {ELSEWHERE}"
        raise UsageError("the store here is not a demo: its images were not drawn by pd demo", store.url, fix)
    if source.seed != seed:
        fix = f"Use its seed: --seed {source.seed}. Or choose another folder: {ELSEWHERE}"
        raise UsageError(f"the demo here has seed {source.seed}, not {seed}", store.url, fix)
    if drawing not in (None, source.drawing):
        fix = f"Leave --drawing out. Or choose another folder: {ELSEWHERE}"
        raise UsageError(f"the demo here draws {source.drawing}, not {drawing}", store.url, fix)
    drawn = source.num_train + source.num_val
    if images not in (None, drawn):
        fix = f"Leave --images out. Or choose another folder: {ELSEWHERE}"
        raise UsageError(f"the demo here has {drawn} images, not {images}", store.url, fix)


def _check_preset(store: Store, preset: str) -> None:
    """Raises StaleSettings if the demo was made with another preset, and does not have this one's settings now.

    What is changed later, by pd config, is the user's own: the command that made the demo goes on with it.
    """
    wanted = read_preset(preset)
    other = preset_differences(store, wanted)
    if other and _made_with(store) != wanted.nodes:
        more = f"; and {len(other) - LISTED} more" if len(other) > LISTED else ""
        seed = SourceSpec.of(store).seed
        seeds = [f"{name}.seed={seed}" for name, node in wanted.nodes.items() if _is_training(name, node)]
        config = ["pd", "--store", store.url, "config"]
        commands = [shlex.join([*config, "apply", preset])] + ([shlex.join([*config, "set", *seeds])] if seeds else [])
        fix = (
            f"To run it as it is, leave --preset out. To give it this pipeline: {' && '.join(commands)}. "
            f"For a demo of its own: {ELSEWHERE}"
        )
        problem = f"the demo here has another pipeline than {preset} ({preset} -> here): "
        raise StaleSettings(problem + "; ".join(other[:LISTED]) + more, store.url, fix)


def _made_with(store: Store) -> Mapping[str, NodeSpec] | None:
    """The nodes of the preset that the demo was made with; None if the store does not say."""
    values = store.info.source.get("pipeline")
    return PipelineSpec.parse(values["spec"], "store.json, pipeline").nodes if values else None


def preset_differences(store: Store, spec: PipelineSpec) -> list[str]:
    """What in the pipeline of a demo is not as in a new demo with this preset, such as ``grouping.k: 4 -> 5``.

    Settings that are recorded as overrides (``pd demo NODE.KEY=VALUE``, ``pd config set``) do not count, and neither do
    nodes that the preset does not have.
    """
    project = Project.open(store)
    here, recorded = project.pipeline.nodes, project.pipeline.overrides
    seeds = {name: {"seed": project.source.seed} for name, node in spec.nodes.items() if _is_training(name, node)}
    same = {name for name, node in spec.nodes.items() if name in here and here[name].stage.name == (node.stage or name)}
    overrides = {name: {**seeds.get(name, {}), **recorded.get(name, {})} for name in spec.nodes if name in same}
    wanted = Pipeline(spec, overrides, project.pipeline.root, project.pipeline.files()).nodes
    lines = [f"it has no {name}" for name in wanted if name not in here]
    for name, node in wanted.items():
        if name not in same:
            lines += [f"{name}: stage {node.stage.name} -> {here[name].stage.name}"] if name in here else []
            continue
        lines += own_changes(name, node.identity, here[name].identity)
        lines += [
            f"{name} reads {role}: {_names(node.inputs.get(role))} -> {_names(here[name].inputs.get(role))}"
            for role in sorted(node.inputs.keys() | here[name].inputs.keys())
            if node.inputs.get(role) != here[name].inputs.get(role)
        ]
    return lines


def _names(nodes: Sequence[str] | None) -> str:
    return ", ".join(nodes or ()) or "none"


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
        for name, (miou_node, ar_node, nodes) in _rows(store.current()).items()
    )


def _rows(present: Container[str]) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Those of ``ROWS`` of which a node is ``present``, and those of each further round."""
    rows = {name: row for name, row in ROWS.items() if any(node in present for node in row[2])}
    for number in takewhile(lambda number: f"distill-{number}" in present, count(2)):
        for name in REPEATED:
            miou_node, ar_node, nodes = ROWS[name]
            ends = [f"{node}-{number}" if node else "" for node in (miou_node, ar_node, *nodes)]
            rows[f"{name}-{number}"] = ends[0], ends[1], tuple(ends[2:])
    return rows


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
