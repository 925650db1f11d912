"""What each setting of a preset brings to the labels, one at a time: on stores of the demo, without a training.

``python -m bench.settings FOLDER SEED … [--preset NAME] [--further]`` takes the stores of the demo in FOLDER,
those of ``bench.ledger`` (of one that is missing, what the labels need is made), and goes on in a copy of each, named
``settings-`` and the store's name. There it divides objects (``grouping``), smooths the segments (``crf``) and names
them (``candidates``, ``ranking``, ``labels``) with the settings of ``demo``; with those and one of the preset, or all
that the preset has for a stage; with all of the preset's; with all but one; and, with ``--further``, with one that the
preset does not have. Settings that have no effect, or another meaning, without each other count as one;
``candidates.place`` is set where ``ranking`` needs it.

Each is scored by the ledger of losses (``docs/part_benchmarks.md``). The table in Markdown has one row per choice of
settings: segments per object, the mIoU of the labels on each seed, their mean, how much that is above the bold row
before it (the mean, with the smallest and the largest of the seeds), and what each step loses, as the mean over the
seeds. Labels are not smoothed again. The first row is the demo as it is, from its proposals, if its labels exist.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from statistics import mean
from typing import Any

from bench.ledger import stores_parser, url_of
from bench.proxies import linked
from pdstore import Store
from pdstore.errors import UsageError
from schemas.catalog import catalog_of
from schemas.pipeline import DrawingName, NodeSpec
from schemas.stages import RankingSettings
from stages.evaluation.losses import read_losses
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.registry import STAGES
from stages.run.demo import PRESET, open_demo
from stages.run.options import RunOptions
from stages.run.runner import run_node

__all__ = ["Choice", "Scored", "choices", "main", "nodes_of", "table"]

Values = Mapping[str, Any]
CHAIN: Mapping[str, str] = {
    "grouping": "grouping",
    "crf": "crf",
    "candidates": "crf-candidates",
    "ranking": "crf-ranking",
    "labels": "crf-labels",
}
"""The stages from the objects to the labels -> the demo's node of each."""
TUNED = ("grouping", "crf", "ranking")
"""The stages whose settings are compared."""
TOGETHER: Sequence[tuple[str, frozenset[str]]] = (
    ("grouping", frozenset({"k", "k_min", "merge_cost"})),
    ("ranking", frozenset({"k", "k_min"})),
)
"""Settings that count as one."""
FURTHER: Sequence[tuple[str, Values]] = (
    ("grouping", {"map_weights": (1, 2)}),
    ("grouping", {"divide": 12}),
    ("grouping", {"boundary": 0.5}),
    ("ranking", {"merge": 0.3}),
)
"""Settings that no preset has: with --further. They are tried where the others allow them."""
LOSSES = {"images": ("ingest",), "truth": ("truth-parts",), "objects": ("detic",)}
STEPS = ("division", "smoothing", "choice", "naming")


@dataclass(frozen=True)
class Choice:
    """A choice of settings.

    Attributes:
        text: what it is, for the table.
        settings: stage -> all of its settings.
        is_first: later rows are compared with this one.
    """

    text: str
    settings: Mapping[str, Values]
    is_first: bool = False


@dataclass(frozen=True)
class Scored:
    """What a choice has on one store: segments per object, mIoU of the labels in percent, step -> points lost."""

    segments: float
    miou: float
    lost: Mapping[str, float] = field(default_factory=dict)


def choices(
    before: Mapping[str, Values], after: Mapping[str, Values], further: Sequence[tuple[str, Values]] = ()
) -> Iterator[Choice]:
    """Every row of the table but the demo's own.

    Args:
        before, after: stage -> settings, of the demo and of the preset. Those of ``CHAIN`` are all there.
        further: stage and settings that are added to both.
    """
    yield Choice("demo", before, is_first=True)
    groups = list(_groups(before, after))
    for stage, names in groups:
        yield _changed("demo +", before, stage, {name: after[stage][name] for name in names})
    yield from _further("demo +", before, further)
    for stage in dict.fromkeys(stage for stage, _ in groups):
        yield Choice(f"demo + all of `{stage}`", _with_places({**before, stage: after[stage]}))
    yield Choice("all", after, is_first=True)
    for stage, names in groups:
        yield _changed("all −", after, stage, {name: after[stage][name] for name in names}, before)
    yield from _further("all +", after, further)


def _further(sign: str, settings: Mapping[str, Values], further: Sequence[tuple[str, Values]]) -> Iterator[Choice]:
    for stage, values in further:
        choice = _changed(sign, settings, stage, values)
        with suppress(UsageError):
            STAGES[stage].settings.parse(dict(choice.settings[stage]), stage, "")
            yield choice


def _groups(before: Mapping[str, Values], after: Mapping[str, Values]) -> Iterator[tuple[str, list[str]]]:
    """Stage and settings that are different, each alone or with those that it needs."""
    for stage in TUNED:
        left = [name for name, value in after[stage].items() if before[stage].get(name) != value]
        while left:
            needed = next((names for of, names in TOGETHER if of == stage and left[0] in names), {left[0]})
            yield stage, [name for name in left if name in needed]
            left = [name for name in left if name not in needed]


def _changed(
    sign: str, settings: Mapping[str, Values], stage: str, values: Values, without: Mapping[str, Values] | None = None
) -> Choice:
    """The settings with these values of a stage, or with those of ``without`` in their place."""
    own = {name: value for name, value in settings[stage].items() if without is None or name not in values}
    own |= values if without is None else {name: old for name, old in without[stage].items() if name in values}
    text = ", ".join(f"`{stage}.{name}` {_shown(value)}" for name, value in values.items())
    return Choice(f"{sign} {text}", _with_places({**settings, stage: own}))


def _shown(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value).lower()


def _with_places(settings: Mapping[str, Values]) -> dict[str, Values]:
    """The settings, with places of the candidates if and only if the ranking needs them."""
    used = any(settings["ranking"].get(name) for name in RankingSettings.of_places)
    candidates = {name: value for name, value in settings["candidates"].items() if name != "place"}
    return {**settings, "candidates": {**candidates, "place": True} if used else candidates}


def nodes_of(choice: Choice, known: dict[str, NodeSpec]) -> list[str]:
    """The nodes of a choice: one per stage of ``CHAIN``, and the one of stage ``losses`` that scores them.

    Args:
        known: the pipeline. Nodes that it lacks are added; one that already is what is needed is taken.
    """
    names: dict[str, str] = {}
    for stage, model in CHAIN.items():
        inputs = {role: _renamed(nodes, names) for role, nodes in known[model].inputs.items()}
        names[model] = _named(known, NodeSpec(stage=stage, inputs=inputs, settings=dict(choice.settings[stage])))
    segments = names["grouping"], names["crf"]
    scored = {"segments": segments, "labels": (names["crf-labels"],)}
    return [*names.values(), _named(known, NodeSpec(stage="losses", inputs=LOSSES | scored))]


def _renamed(nodes: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(names.get(node, node) for node in nodes)


def _named(known: dict[str, NodeSpec], spec: NodeSpec) -> str:
    """The name of a node that is ``spec``. A new one is named by its content, so that it is found again."""
    for name, node in known.items():
        if (node.stage or name, node.inputs, node.settings) == (spec.stage, spec.inputs, spec.settings):
            return name
    name = f"{spec.stage}-{sha256(spec.model_dump_json().encode()).hexdigest()[:8]}"
    known[name] = spec
    return name


def opened(url: str, seed: int, drawing: DrawingName) -> Store:
    """A copy of the demo at ``url``, in which the labels of ``CHAIN`` are there. A copy that exists is taken."""
    source = Path(url)
    target = source.with_name(f"settings-{source.name}")
    if not target.exists():
        _made(open_demo(url, seed, drawing=drawing), [CHAIN["labels"], "truth-parts"])
        partial = source.with_name(f".{target.name}")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, copy_function=linked)
        partial.rename(target)
    return Store(str(target))


def _made(store: Store, names: Sequence[str]) -> None:
    """Run these nodes, after whatever they need."""
    project = Project.open(store)
    needed, waiting = set(names), list(names)
    while waiting:
        more = {node for nodes in project[waiting.pop()].inputs.values() for node in nodes} - needed
        needed |= more
        waiting += more
    for name in project.nodes:
        if name in needed:
            run_node(project, name, RunOptions(wait=True))


def scored(store: Store, rows: Sequence[Choice]) -> list[Scored]:
    """Every choice on one store. Says on stderr how long each took."""
    project = Project.open(store)
    known = dict(project.pipeline.spec.nodes)
    nodes = [nodes_of(choice, known) for choice in rows]
    project = project.extended(known)
    project.record()
    found = []
    for choice, names in zip(rows, nodes, strict=True):
        started = time.monotonic()
        for name in names:
            run_node(project, name, RunOptions(wait=True))
        found.append(_score(store, names[0], names[-1]))
        seconds = time.monotonic() - started
        print(f"{store.url}: {choice.text}: {found[-1].miou:.2f}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return found


def demo_as_it_is(store: Store) -> Scored | None:
    """The demo's own labels, from its proposals; None if they have not been made."""
    rows = read_losses(catalog_of(store), "losses")
    return _score(store, "grouping", "losses") if any(row.evaluated == "labels" for row in rows) else None


def _score(store: Store, grouping: str, losses: str) -> Scored:
    catalog = catalog_of(store)
    rows = [row for row in read_losses(catalog, losses) if row.step != "distillation" and row.after != "distillation"]
    query = f"SELECT count(*) / count(DISTINCT (image_id, object_id)) AS n FROM parts WHERE node = '{grouping}'"
    segments = catalog.query(query).to_pylist()[0]["n"]
    return Scored(segments, rows[-1].miou, {row.step: row.lost for row in rows})


def table(rows: Sequence[tuple[str, bool]], by_seed: Mapping[int, Sequence[Scored]]) -> str:
    """Markdown: one row per (text, is_first), each with its score on every seed."""
    seeds = [f"seed {seed}" for seed in by_seed]
    lines = [f"| settings | segments | {' | '.join(seeds)} | mean | change (range) | {' | '.join(STEPS)} |"]
    lines.append("|---" * (len(seeds) + 4 + len(STEPS)) + "|")
    first: list[Scored] = []
    for number, (text, is_first) in enumerate(rows):
        own = [of_seed[number] for of_seed in by_seed.values()]
        first = own if is_first else first
        changes = [now.miou - was.miou for now, was in zip(own, first, strict=False)]
        cells = [f"{mean(one.segments for one in own):.1f}", *(f"{one.miou:.1f}" for one in own)]
        cells.append(f"{mean(one.miou for one in own):.1f}")
        shown = f"{mean(changes):+.1f} ({min(changes):+.1f} to {max(changes):+.1f})" if changes else ""
        cells.append("" if is_first else shown)
        cells += [f"{mean(one.lost[step] for one in own):.1f}" for step in STEPS]
        lines.append(f"| {f'**{text}**' if is_first else text} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table of the stores that are asked for."""
    parser = stores_parser(__doc__, "whose settings are tried")
    parser.add_argument("--further", action="store_true", help="try settings that the preset does not have, too")
    options = parser.parse_args()
    nodes, tried = read_preset(PRESET).nodes, read_preset(options.preset).nodes
    before = {stage: nodes[node].settings for stage, node in CHAIN.items()}
    after = _with_places({**before, **{stage: tried[stage].settings for stage in TUNED}})
    rows = list(choices(before, after, FURTHER if options.further else ()))
    texts = [(choice.text, choice.is_first) for choice in rows]
    by_seed, as_it_is = {}, {}
    for seed in options.seeds:
        store = opened(url_of(options.folder, seed, options.drawing), seed, options.drawing)
        by_seed[seed], as_it_is[seed] = scored(store, rows), demo_as_it_is(store)
    if all(as_it_is.values()):
        texts.insert(0, ("demo as it is, from proposals", False))
        by_seed = {seed: [own, *by_seed[seed]] for seed, own in as_it_is.items() if own}
    print(table(texts, by_seed))


if __name__ == "__main__":
    main()
