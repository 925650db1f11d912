"""What the stages of the demo are worth over several seeds, beside two controls.

``python -m bench.demo [FOLDER] [SEED …]`` runs the demo for each seed (0, 1 and 2 unless told), then two controls on
the same store, each as a second layer beside the first:

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


def scores_of(folder: str, seed: int) -> list[StageScore]:
    """The rows of the demo, then those of the controls."""
    store = open_demo(f"{folder}/seed-{seed}", seed)
    result = run_demo(store, Silent(), lambda: False)
    print(f"seed {seed}: {result.seconds:.0f} s", file=sys.stderr, flush=True)
    pipeline = load_recorded(store)
    steps = sum(pipeline[node].settings.steps for node in ("proposal-train", "distill-train"))
    return [
        *result.scores,
        control(store, "longer proposals", [f"proposal-train.steps={steps}"]),
        control(store, "labels + CRF", [f"labels.crf={CRF}"]),
    ]


def main() -> None:
    """Print a table: a row a stage, mIoU and AR@20 of every seed, and their means."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "pd-demo-bench"
    seeds = [int(word) for word in sys.argv[2:]] or [0, 1, 2]
    table = {seed: scores_of(folder, seed) for seed in seeds}
    print("| stage | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean |\n" + "|---" * (len(seeds) + 2) + "|")
    for row in zip(*table.values(), strict=True):
        mious = [score.miou for score in row if score.miou is not None]
        ars = [score.ar for score in row if score.ar is not None]
        cells = [f"{_text(score.miou)} / {_text(score.ar)}" for score in row]
        average = f"{_text(mean(mious) if mious else None)} / {_text(mean(ars) if ars else None)}"
        print(f"| {row[0].name} | " + " | ".join(cells) + f" | {average} |")


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    main()
