"""The ledger of losses of the demo before and after a change of its settings, over several seeds.

``python -m bench.ledger FOLDER SEED … [--drawing NAME] [--preset NAME]`` makes, or goes on with, two demo stores per
seed in FOLDER: one with the preset ``demo`` (the store ``seed-N`` of ``bench.demo``) and one with the other preset. It
prints a table in Markdown with one row per step: what the step loses and, in brackets, the mIoU that is left, before →
after, both in percent. The last row has the seconds of all nodes but those that score. ``docs/part_benchmarks.md`` says
what the steps are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import get_args

from bench.demo import computed
from pdstore import Store
from schemas.catalog import catalog_of
from schemas.pipeline import DrawingName
from stages.drawn.presence import SHAPES
from stages.evaluation.losses import Loss, read_losses
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.run.demo import PRESET, open_demo, preset_differences

__all__ = ["Ledger", "ledger_of", "main", "stores_parser", "table", "url_of"]

SCORING = ("eval", "losses")
"""Stages that are no part of the method."""
_SECONDS = (
    "SELECT node, sum(seconds) AS seconds FROM commits JOIN layers USING (node, layer) WHERE is_current GROUP BY 1"
)
Key = tuple[str, str]


@dataclass(frozen=True)
class Ledger:
    """What each step of a store loses.

    Attributes:
        losses: (step, node that it scores) -> its row. A further round repeats rows of the first; they are here once.
        seconds: of all nodes but those that score.
    """

    losses: Mapping[Key, Loss]
    seconds: float


def ledger_of(store: Store) -> Ledger:
    """The ledgers of all nodes of stage ``losses`` that have run."""
    project, catalog = Project.open(store), catalog_of(store)
    losses: dict[Key, Loss] = {}
    for node in project.nodes.values():
        if node.stage.name == "losses":
            for loss in read_losses(catalog, node.name):
                losses.setdefault((loss.step, loss.evaluated), loss)
    seconds = {row["node"]: row["seconds"] for row in catalog.query(_SECONDS).to_pylist()}
    method = [name for name, node in project.nodes.items() if node.stage.name not in SCORING]
    return Ledger(losses, sum(seconds.get(name, 0.0) for name in method))


def table(before: Mapping[int, Ledger], after: Mapping[int, Ledger]) -> str:
    """Markdown: a row per step, a column per seed, and the means. Both have the same seeds."""
    seeds = list(before)
    lines = [f"| step | of | {' | '.join(f'seed {seed}' for seed in seeds)} | mean |", "|---" * (len(seeds) + 3) + "|"]
    for step, node in dict.fromkeys(key for of in (before, after) for ledger in of.values() for key in ledger.losses):
        pairs = [[of[seed].losses.get((step, node)) for seed in seeds] for of in (before, after)]
        cells = [f"{_points([was])} → {_points([now])}" for was, now in zip(*pairs, strict=True)]
        lines.append(f"| {step} | {node} | {' | '.join(cells)} | {_points(pairs[0])} → {_points(pairs[1])} |")
    times = [[of[seed].seconds for seed in seeds] for of in (before, after)]
    cells = [f"{was:.0f} → {now:.0f}" for was, now in zip(*times, strict=True)]
    ratio = f", × {sum(times[1]) / sum(times[0]):.2f}" if sum(times[0]) else ""
    lines.append(f"| seconds |  | {' | '.join(cells)} | {mean(times[0]):.0f} → {mean(times[1]):.0f}{ratio} |")
    return "\n".join(lines)


def _points(losses: Sequence[Loss | None]) -> str:
    """The mean of what is lost and of what is left; a dash if a ledger has no such step."""
    known = [loss for loss in losses if loss is not None]
    if len(known) < len(losses):
        return "–"
    return f"{mean(loss.lost for loss in known):.1f} ({mean(loss.miou for loss in known):.1f})"


def url_of(folder: Path, seed: int, drawing: str = SHAPES, preset: str = PRESET) -> str:
    """The store of a demo: what differs from ``pd demo`` is in its name."""
    words = ([drawing] if drawing != SHAPES else []) + ([Path(preset).stem] if preset != PRESET else [])
    return str(folder / "-".join([*words, "seed", str(seed)]))


def stores_parser(description: str | None, preset: str) -> argparse.ArgumentParser:
    """The arguments that say which stores are compared. ``preset`` is the help of the one beside the demo's own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the stores of the demo are, or are made")
    parser.add_argument("seeds", type=int, nargs="+", metavar="SEED", help="seeds of drawings and trainings")
    parser.add_argument("--drawing", choices=get_args(DrawingName), default=SHAPES, help="what is drawn")
    parser.add_argument("--preset", default="demo_best", help=f"the preset, or YAML file, {preset}")
    return parser


def main() -> None:
    """Print the table of the stores that are asked for."""
    parser = stores_parser(__doc__, "after the change")
    parser.add_argument("--images", type=int, help="how many images are drawn; as many as the demo draws unless given")
    options = parser.parse_args()
    ledgers: list[dict[int, Ledger]] = []
    for preset in (PRESET, options.preset):
        ledgers.append({})
        for seed in options.seeds:
            url = url_of(options.folder, seed, options.drawing, preset)
            store = open_demo(url, seed, options.images, drawing=options.drawing, preset=preset)
            for line in preset_differences(store, read_preset(preset)):
                print(f"{url}: the pipeline was changed ({preset} -> here): {line}", file=sys.stderr)
            computed(store)
            ledgers[-1][seed] = ledger_of(store)
    print(table(*ledgers))


if __name__ == "__main__":
    main()
