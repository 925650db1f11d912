"""What the stages of the demo are worth over several seeds, beside two controls.

``python -m bench.demo [FOLDER] [SEED …]`` runs the demo for each seed (0, 1 and 2 unless told), and on the store of
the first seed two controls, each as a second layer beside the first:

- ``longer proposals``: the proposal model trained for the steps of both trainings, ranked and labelled as before, and
  no distillation. What distillation adds beyond these steps is its own.
- ``labels + CRF``: the labels smoothed by a second dense CRF. The demo does not use it.
"""

from __future__ import annotations

import sys
from statistics import mean

from pdstore import Store
from stages.demo.run import StageScore, demo_scores, open_demo, run_demo
from stages.pipeline import load_recorded, record
from stages.progress import Silent
from stages.runner import RunOptions, run_node

CRF = "{gt_prob: 0.6, gaussian_sxy: 1, gaussian_compat: 3, bilateral_sxy: 10, bilateral_srgb: 20, long_side: 0}"


def control(store: Store, name: str, overrides: list[str]) -> StageScore:
    """The scores of the labels under other settings; the store's own settings are put back afterwards."""
    own = load_recorded(store)
    other = load_recorded(store, overrides)
    record(store, other)
    try:
        for node in other.nodes:
            if node not in ("distill-train", "distill", "eval-distill"):
                run_node(store, other, node, RunOptions(wait=True, new_layer=True))
        found = next(score for score in demo_scores(store) if score.name == "labels")
        return StageScore(name, found.ar, found.miou, 0.0)
    finally:
        record(store, own)


def controls(store: Store) -> list[StageScore]:
    """The rows of the controls."""
    pipeline = load_recorded(store)
    steps = sum(pipeline[node].settings.model_dump()["steps"] for node in ("proposal-train", "distill-train"))
    return [
        control(store, "longer proposals", [f"proposal-train.steps={steps}"]),
        control(store, "labels + CRF", [f"labels.crf={CRF}"]),
    ]


def main() -> None:
    """Print a table: a row a stage, mIoU / AR@20 of every seed, and their means."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "pd-demo-bench"
    seeds = [int(word) for word in sys.argv[2:]] or [0, 1, 2]
    stores = {seed: open_demo(f"{folder}/seed-{seed}", seed) for seed in seeds}
    results = []
    for seed, store in stores.items():
        results.append(run_demo(store, load_recorded(store), Silent(), lambda: False))
        print(f"seed {seed}: {results[-1].seconds:.0f} s", file=sys.stderr, flush=True)
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
