"""What each difference from the original is worth on the demo: its steps as the original has them, one at a time.

Run: ``python -m bench.differences STORE [NAME …]`` with a finished demo store (``pd demo --store STORE``), which is not
changed. For each difference, what it concerns is computed again in a copy of the store and scored as the demo is.
The differences are those of the table in ``docs/architecture.md``; settings take the place of code where there is one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch

from pdstore import Store, layout, runs
from stages.kernels.clustering.kmeans import unit_length
from stages.models.inference import Found
from stages.plan.project import Project
from stages.run.demo import demo_scores
from stages.run.options import RunOptions
from stages.run.runner import run_node
from stages.segments import ObjectSegments

__all__ = ["VARIANTS", "main"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Variant:
    """One step as the original has it.

    Attributes:
        first: the first node whose results it changes.
        scored: rows of the demo's table that are compared.
        overrides: settings, as for ``pd run``.
        inputs: (node, role, the node that it reads instead).
        patches: what is replaced (as for ``unittest.mock.patch``) -> by what.
    """

    first: str
    scored: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    inputs: tuple[tuple[str, str, str], ...] = ()
    patches: tuple[tuple[str, Callable[..., Any]], ...] = ()


def halved_l2(features: npt.ArrayLike, centroids: npt.ArrayLike, metric: str, normalize: bool) -> Floats:
    """The chances of clusters from xy - xx - yy, where the 2 of the distance is missing (the softmax ignores xx)."""
    points, middles = np.asarray(features, np.float32), np.asarray(centroids, np.float32)
    points = unit_length(points) if normalize else points
    logits = points @ middles.T - np.square(middles).sum(1)
    grown = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
    return np.asarray(grown / grown.sum(1, keepdims=True), np.float32)


def lenient(method: Callable[..., ObjectSegments]) -> Callable[..., ObjectSegments]:
    """A filter that is not applied to an object of which no segment passes."""

    def filtered(self: ObjectSegments, *arguments: Any, **options: Any) -> ObjectSegments:
        found = method(self, *arguments, **options)
        return found if len(found.scores) else self

    return filtered


def large_of_all(self: ObjectSegments, min_object_ratio: float, *, one_per_pixel: bool) -> ObjectSegments:
    """The segments that cover more than a share of all segments together, wherever they lie."""
    order = np.argsort(-self.scores, kind="stable")
    covered = runs.areas(runs.one_per_pixel(self.masks, order, runs.full(self.masks.height, self.masks.width)))
    return self.take(covered / max(int(covered.sum()), 1) > min_object_ratio)


def best_pair(found: Sequence[Found]) -> torch.Tensor:
    """(K, H, W): the largest class x mask probability of any query, in place of the sum over queries."""
    total = torch.zeros(found[0].classes.shape[1] - 1, *found[0].size, device=found[0].logits.device)
    for answer in found:
        best = torch.zeros_like(total)
        for queries, probabilities in answer.probabilities(np.arange(len(answer.classes))):
            weights = torch.from_numpy(answer.classes[queries, :-1]).to(total.device)
            best = torch.maximum(best, (weights.T[:, :, None, None] * probabilities).amax(1))
        total += best
    return total / len(found)


_SEGMENTS = "stages.segments.ObjectSegments"
VARIANTS = {
    "pydensecrf on the whole picture": Variant("crf", ("crf",), ("crf.engine=pydensecrf", "crf.margin=null")),
    "l2 without its 2": Variant("labels", ("labels",), patches=(("stages.nodes.labels.affinity", halved_l2),)),
    "filters that nothing passes are not applied": Variant(
        "candidates",
        ("labels",),
        patches=(
            (f"{_SEGMENTS}.on_object", lenient(ObjectSegments.on_object)),
            (f"{_SEGMENTS}.large", lenient(ObjectSegments.large)),
        ),
    ),
    "shares of area of all proposals together": Variant(
        "candidates", ("labels",), patches=((f"{_SEGMENTS}.large", large_of_all),)
    ),
    "segments that barely touch the object": Variant(
        "candidates", ("labels",), ("candidates.min_inside=0", "labels.min_inside=0")
    ),
    "clusters of all images": Variant("candidates", ("labels",), ("candidates.split=''",)),
    "the best pair of query and part": Variant(
        "distill", ("distill",), patches=(("stages.models.answers.chances", best_pair),)
    ),
    "distillation from the detector's network": Variant(
        "distill-train", ("distill",), inputs=(("distill-train", "model", "segmenter"),)
    ),
    "one shuffle over all images": Variant(
        "proposal-train",
        ("proposals", "labels", "distill"),
        ("proposal-train.window=1000", "distill-train.window=1000"),
    ),
}


def after(project: Project, first: str) -> list[str]:
    """``first`` and the nodes that it leads to, in the pipeline's order."""
    found = {first}
    for name in project.nodes:
        if found & set(project[name].upstream()):
            found.add(name)
    return [name for name in project.nodes if name in found]


def before(project: Project, last: set[str]) -> set[str]:
    """The nodes that lead to those in ``last``."""
    inputs = {name for node in last for name in project[node].upstream()}
    return inputs | before(project, inputs) if inputs else inputs


def changed(project: Project, variant: Variant) -> Project:
    """The project with a variant's settings and inputs."""
    nodes = {}
    for name, role, other in variant.inputs:
        node = project.pipeline.spec.nodes[name]
        nodes[name] = node.model_copy(update={"inputs": {**node.inputs, role: (other,)}})
    return project.extended(nodes, variant.overrides)


def scores(store: Store, rows: Sequence[str]) -> dict[str, tuple[float | None, float | None]]:
    """Row of the demo's table -> mIoU and AR@20 in percent."""
    return {score.name: (score.miou, score.ar) for score in demo_scores(store) if score.name in rows}


def computed(source: Path, variant: Variant, folder: Path) -> dict[str, tuple[float | None, float | None]]:
    """The scores of a variant, computed in a copy of ``source``."""
    shutil.copytree(source, folder, copy_function=_linked)
    store = Store(str(folder))
    project = changed(Project.open(store), variant)
    project.record()
    evaluations = {"eval-labels" if row == "proposals" else f"eval-{row}" for row in variant.scored}
    nodes = [name for name in after(project, variant.first) if name in evaluations | before(project, evaluations)]
    for name in nodes:
        shutil.rmtree(folder / layout.LAYERS / name, ignore_errors=True)
    with ExitStack() as stack:
        for target, replacement in variant.patches:
            stack.enter_context(patch(target, replacement))
        for name in nodes:
            run_node(project, name, RunOptions(wait=True, new_layer=True))
    return scores(store, variant.scored)


def _linked(source: str, target: str) -> None:
    """Committed files never change, so the copy shares them; anything else is copied."""
    if f"/{layout.LAYERS}/" in source or "/images/" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def main() -> None:
    """Print one row per difference and score: as here, as the original has it, and the difference in points."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(VARIANTS))
    options = parser.parse_args()
    base = {score.name: (score.miou, score.ar) for score in demo_scores(Store(str(options.store)))}
    print("| as the original has it | scored | here | original | points |\n|---|---|---|---|---|")
    for name in options.names or VARIANTS:
        with tempfile.TemporaryDirectory(dir=options.store.parent) as folder:
            found = computed(options.store, VARIANTS[name], Path(folder) / "store")
        for row, (miou, ar) in found.items():
            pairs = list(zip(base[row], (miou, ar), strict=True))
            cells = [" / ".join("-" if pair[n] is None else f"{pair[n]:.1f}" for pair in pairs) for n in (0, 1)]
            cells.append(" / ".join("-" if None in pair else f"{pair[1] - pair[0]:+.1f}" for pair in pairs))  # type: ignore[operator]
            print(f"| {name} | {row} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
