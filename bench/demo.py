"""The scores of the demo's stages over several seeds, and three controls.

``python -m bench.demo [FOLDER] [SEED …]`` runs the demo for each seed (0, 1 and 2 unless given). On the store of the
first seed it also runs three controls, each as a second layer next to the first:

- ``longer proposals``: the proposal model is trained for the steps of both trainings, then ranked, labelled and
  smoothed as before, without distillation. It shows what distillation adds beyond training for more steps.
- ``no second CRF``: the labels as they are ranked, and the model that is distilled from them. The demo smooths labels.
- ``no CRF on predictions``: the parts as the distilled model predicts them. The demo smooths these too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import mean

from pdstore import Store
from stages.plan.project import Project
from stages.run.demo import DemoResult, StageScore, demo_scores, open_demo, run_demo
from stages.run.options import RunOptions
from stages.run.runner import run_node, run_pass

DISTILLATION = ("distill-train", "distill", "eval-distill")


def control(store: Store, name: str, overrides: list[str], rows: Sequence[str]) -> list[StageScore]:
    """The scores of ``rows`` under other settings. The store's settings are restored afterwards."""
    recorded = Project.open(store)
    other = Project.open(store, overrides)
    other.record()
    try:
        for node in other.nodes:
            if "distill" in rows or node not in DISTILLATION:
                run_node(other, node, RunOptions(wait=True, new_layer=True))
        scores = [score for score in demo_scores(store) if score.name in rows]
        return [replace(score, name=f"{name}, {score.name}") for score in scores]
    finally:
        recorded.record()


def controls(store: Store) -> list[StageScore]:
    """The scores of all controls."""
    project = Project.open(store)
    steps = sum(project[node].settings.model_dump()["steps"] for node in ("proposal-train", "distill-train"))
    longer = control(store, "longer proposals", [f"proposal-train.steps={steps}"], ["proposals", "labels"])
    rough = control(store, "no second CRF", ["labels.crf=null"], ["labels", "distill"])
    return longer + rough + control(store, "no CRF on predictions", ["distill.crf=null"], ["distill"])


def computed(store: Store) -> DemoResult:
    """The scores of a demo, after whatever it still lacks has run. Says on stderr how long that took."""
    project = Project.open(store)
    result = run_demo(project, partial(run_pass, project, options=RunOptions(wait=True)))
    print(f"{store.url}: {result.seconds:.0f} s", file=sys.stderr, flush=True)
    return result


def main() -> None:
    """Print a table with one row per stage: mIoU / AR@20 of every seed, and their means."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "pd-demo-bench"
    seeds = [int(word) for word in sys.argv[2:]] or [0, 1, 2]
    stores = {seed: open_demo(f"{folder}/seed-{seed}", seed) for seed in seeds}
    results = []
    for store in stores.values():
        results.append(computed(store))
    print("| stage | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean |\n" + "|---" * (len(seeds) + 2) + "|")
    for row in zip(*(result.scores for result in results), strict=True):
        cells = [f"{_text([score.miou])} / {_text([score.ar])}" for score in row]
        cells.append(f"{_text([score.miou for score in row])} / {_text([score.ar for score in row])}")
        print(f"| {row[0].name} | " + " | ".join(cells) + " |", flush=True)
    print(f"\nControls, seed {seeds[0]}:\n")
    for score in controls(stores[seeds[0]]):
        print(f"- {score.name}: {_text([score.miou])} / {_text([score.ar])}", flush=True)


def _text(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{mean(known):.1f}" if known else "-"


if __name__ == "__main__":
    main()
