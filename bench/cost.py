"""What a preset costs beside the demo's own: processor seconds of each stage, both presets in turns on one machine.

Run: ``python -m bench.cost FOLDER SEED [--preset NAME] [--drawing NAME]``, on the two finished stores of
``bench.ledger``. In a copy of each, every node is computed once more, from what the store has: a training for a share
of its steps (``--share``), and what is computed block by block for every N-th block (``--blocks``). Passes of the one
preset and of the other take turns, in one process. The seconds, user and system, are those of the process and its
children, scaled to whole trainings and to all blocks. A first round, of little, loads what is loaded once and does not
count. Of several repeats, in which the presets take turns to be first, a stage has the mean. Stages that score are left
out: they are no part of the method.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from statistics import mean
from typing import get_args

from bench.ledger import SCORING, url_of
from bench.proxies import linked
from pdstore import Store
from schemas.pipeline import DrawingName
from stages.drawn.presence import SHAPES
from stages.plan.passes import passes
from stages.plan.project import Project
from stages.plan.shard import Shard
from stages.run.demo import PRESET
from stages.run.options import RunOptions
from stages.run.runner import run_pass

__all__ = ["Costs", "again", "main", "measured", "table"]

Costs = Mapping[str, float]
"""Stage -> processor seconds, of all its nodes."""
STEPS = ("steps", "warmup_steps", "checkpoint_every")
"""Settings of a training that are counted in steps."""


def again(project: Project, prefix: str, share: float) -> Project:
    """The pipeline with a further node for each that is no score: it reads the same nodes, and trains for less long."""
    nodes = {}
    for name, node in project.nodes.items():
        if node.stage.name in SCORING:
            continue
        settings = node.settings.model_dump(exclude_unset=True)
        if node.stage.is_training:
            settings |= {key: max(1, round(settings[key] * share)) for key in STEPS if key in settings}
        spec = project.pipeline.spec.nodes[name]
        nodes[prefix + name] = spec.model_copy(update={"stage": node.stage.name, "settings": settings})
    return project.extended(nodes)


def measured(store: Store, prefix: str, blocks: int, share: float) -> Iterator[tuple[str, float]]:
    """Runs one pass after the other, and yields its stage and its seconds, scaled to a whole demo."""
    project = again(Project.open(store), prefix, share)
    project.record()
    new = [name for name in project.nodes if name.startswith(prefix)]
    for names in passes(project.pipeline, new):
        stage, total = project[names[0]].stage, project.num_units(names[0])
        options = RunOptions(wait=True, shard=Shard(1, blocks) if total > 1 else None)
        before = sum(os.times()[:4])
        outcome = run_pass(project, names, options)[0]
        seconds = sum(os.times()[:4]) - before
        yield stage.name, seconds * (1 / share if stage.is_training else total / len(outcome.committed))


def in_turns(stores: Mapping[str, Store], prefix: str, blocks: int, share: float) -> dict[str, Costs]:
    """The costs of every preset; the first begins."""
    costs: dict[str, dict[str, float]] = {preset: {} for preset in stores}
    for found in zip_longest(*(measured(store, prefix, blocks, share) for store in stores.values())):
        for of, one in zip(costs.values(), found, strict=True):
            if one:
                of[one[0]] = of.get(one[0], 0.0) + one[1]
    return dict(costs)


def table(before: list[Costs], after: list[Costs]) -> str:
    """Markdown: one row per stage, and the sums. One entry per repeat."""
    lines = ["| stage | before | after | ratio |", "|---|---|---|---|"]
    for stage in dict.fromkeys(stage for costs in (*before, *after) for stage in costs):
        was, now = (mean(costs.get(stage, 0.0) for costs in of) for of in (before, after))
        lines.append(f"| {stage} | {was:.1f} | {now:.1f} | {f'{now / was:.2f}' if was else '–'} |")
    ratios = [sum(now.values()) / sum(was.values()) for was, now in zip(before, after, strict=True)]
    was, now = (mean(sum(costs.values()) for costs in of) for of in (before, after))
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    lines.append(f"| **all** | {was:.1f} | {now:.1f} | {now / was:.2f}{spread} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the finished stores are")
    parser.add_argument("seed", type=int, help="their seed")
    parser.add_argument("--preset", default="demo_best", help="the preset, or YAML file, beside the demo's own")
    parser.add_argument("--drawing", choices=get_args(DrawingName), default=SHAPES, help="what was drawn")
    parser.add_argument("--blocks", type=int, default=6, help="every N-th block is computed")
    parser.add_argument("--share", type=float, default=0.1, help="share of the steps of each training")
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    found: dict[str, list[Costs]] = {PRESET: [], options.preset: []}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        stores = {}
        for preset in found:
            source = Path(url_of(options.folder, options.seed, options.drawing, preset))
            shutil.copytree(source, Path(folder) / source.name, copy_function=linked)
            stores[preset] = Store(str(Path(folder) / source.name))
        in_turns(stores, "warm-", 100, 0.01)
        for repeat in range(options.repeats):
            order = sorted(stores, key=list(found).index, reverse=repeat % 2 == 1)
            costs = in_turns(
                {preset: stores[preset] for preset in order}, f"again{repeat}-", options.blocks, options.share
            )
            for preset, one in costs.items():
                found[preset].append(one)
            print(f"repeat {repeat + 1} of {options.repeats} is done", file=sys.stderr, flush=True)
    print(table(found[PRESET], found[options.preset]))


if __name__ == "__main__":
    main()
