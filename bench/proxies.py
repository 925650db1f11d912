"""How well what is measured without ground truth follows the true losses: on finished stores of the demo.

Run: ``python -m bench.proxies STORE…`` (``pd demo --store STORE``; the stores are not changed). One setting after the
other is varied in a copy: k of the grouping, or of the ranking, with features that are scaled to unit length and with
such that are not. Of each, the proxies (``pd eval --proxies``) and the true loss (``pd eval --losses``) are computed.
Labels are not smoothed here, which changes no name.

It prints, as Markdown, what was found, and for each proxy Spearman's rank correlation with the loss that it stands for
(1: a larger proxy always goes with a smaller loss), how many points are lost by taking the setting with the largest
proxy, compared with the best setting, and how often the proxy is right about unit length where k is the same.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pdstore import Store, layout
from schemas.catalog import catalog_of
from schemas.pipeline import NodeSpec
from stages.evaluation.losses import read_losses
from stages.evaluation.proxies import DIVISION, NAMES, NAMING, read_proxies
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.runner import run_node

__all__ = ["Tried", "correlation", "linked", "main", "regret", "right_at_same_k"]

KS: Mapping[str, Sequence[int]] = {DIVISION: (3, 4, 5, 6, 8), NAMING: (4, 6, 8, 10)}
IMAGES, TRUTH, OBJECTS = {"images": ("ingest",)}, {"truth": ("truth-parts",)}, {"objects": ("detic",)}


@dataclass(frozen=True)
class Tried:
    """One setting: the true loss in points of mIoU, and the proxies."""

    step: str
    k: int
    is_normalized: bool
    lost: float
    proxies: Mapping[str, float]


def tried(source: Path, folder: Path, objects: int) -> Iterator[Tried]:
    """Every setting, computed in a copy of ``source``."""
    shutil.copytree(source, folder, copy_function=linked)
    store = Store(str(folder))
    for step, ks in KS.items():
        for k in ks:
            for is_normalized in (True, False):
                nodes = _nodes(Project.open(store), step, k, is_normalized, objects)
                project = Project.open(store).extended(nodes)
                project.record()
                for name in nodes:
                    run_node(project, name, RunOptions(wait=True))
                catalog = catalog_of(store)
                lost = next(row.lost for row in read_losses(catalog, list(nodes)[-2]) if row.step == step)
                found = {row.proxy: row.value for row in read_proxies(catalog, list(nodes)[-1]) if not row.class_name}
                yield Tried(step, k, is_normalized, lost, found)


def _nodes(project: Project, step: str, k: int, is_normalized: bool, objects: int) -> dict[str, NodeSpec]:
    """What is added to the pipeline; the losses and the proxies come last."""
    spec, tag = project.pipeline.spec.nodes, f"{k}-{'unit' if is_normalized else 'raw'}"
    if step == DIVISION:
        name = f"grouping-{tag}"
        nodes = {name: _with(spec["grouping"], "grouping", k=k, normalize=is_normalized)}
        scored, measured = OBJECTS | {"segments": (name,)}, OBJECTS | {"segments": (name,), "model": ("segmenter",)}
    else:
        name, labels = f"ranking-{tag}", f"labels-{tag}"
        nodes = {
            name: _with(spec["ranking"], "ranking", k=k, normalize=is_normalized),
            labels: _with(spec["labels"], "labels", {"clusters": (name,)}, normalize=is_normalized, crf=None),
        }
        scored, measured = {"labels": (labels,)}, {"candidates": ("candidates",), "clusters": (name,)}
    nodes[f"losses-{name}"] = NodeSpec(stage="losses", inputs=IMAGES | TRUTH | scored)
    settings = {"objects": objects}
    nodes[f"proxies-{name}"] = NodeSpec(stage="proxies", inputs=IMAGES | measured, settings=settings)
    return nodes


def _with(node: NodeSpec, stage: str, inputs: Mapping[str, tuple[str, ...]] | None = None, **settings: Any) -> NodeSpec:
    changed = {"stage": stage, "inputs": {**node.inputs, **(inputs or {})}, "settings": {**node.settings, **settings}}
    return node.model_copy(update=changed)


def correlation(settings: Sequence[Tried], proxy: str) -> float:
    """Spearman's rank correlation of a proxy with minus the loss."""
    from scipy.stats import spearmanr

    return float(spearmanr([one.proxies[proxy] for one in settings], [-one.lost for one in settings]).statistic)


def regret(settings: Sequence[Tried], proxy: str) -> float:
    """Points lost with the setting of the largest proxy, minus those of the best setting."""
    chosen = max(settings, key=lambda one: one.proxies[proxy])
    return chosen.lost - min(one.lost for one in settings)


def right_at_same_k(settings: Sequence[Tried], proxy: str) -> tuple[int, int]:
    """For how many k the setting with the larger proxy has the smaller loss, and how many k there are."""
    by_k: dict[int, list[Tried]] = {}
    for one in settings:
        by_k.setdefault(one.k, []).append(one)
    pairs = [pair for pair in by_k.values() if len(pair) == 2]
    right = [(a.proxies[proxy] - b.proxies[proxy]) * (b.lost - a.lost) > 0 for a, b in pairs]
    return sum(right), len(right)


def linked(source: str, target: str) -> None:
    """Committed files never change, so the copy shares them; anything else is copied."""
    if f"/{layout.LAYERS}/" in source or "/images/" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _print_found(store: Path, settings: Sequence[Tried]) -> None:
    print(f"\n{store.name}\n\n| step | k | unit length | lost | {' | '.join(NAMES)} |\n|{'---|' * (4 + len(NAMES))}")
    for one in settings:
        values = [f"{one.proxies[name]:.3f}" if name in one.proxies else "" for name in NAMES]
        print(f"| {one.step} | {one.k} | {one.is_normalized} | {one.lost:.2f} | {' | '.join(values)} |", flush=True)


def _print_summary(by_store: Mapping[str, Sequence[Tried]]) -> None:
    print(
        f"\n| step | proxy | {' | '.join(by_store)} | mean | lost by its choice | by any choice | right at the same k |"
    )
    print("|" + "---|" * (6 + len(by_store)))
    for step in KS:
        of_step = [[one for one in settings if one.step == step] for settings in by_store.values()]
        any_choice = np.mean([np.mean([one.lost for one in s]) - min(one.lost for one in s) for s in of_step])
        for proxy in (name for name in NAMES if all(name in one.proxies for one in of_step[0])):
            rhos = [correlation(settings, proxy) for settings in of_step]
            worse = np.mean([regret(settings, proxy) for settings in of_step])
            right, pairs = np.sum([right_at_same_k(settings, proxy) for settings in of_step], axis=0)
            cells = [f"{rho:+.2f}" for rho in (*rhos, float(np.mean(rhos)))]
            cells += [f"{worse:.1f}", f"{any_choice:.1f}", f"{right} of {pairs}"]
            print(f"| {step} | {proxy} | {' | '.join(cells)} |")


def main() -> None:
    """Print what was found of each store, and the correlations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path, nargs="+", metavar="STORE")
    parser.add_argument("--objects", type=int, default=200, help="setting objects of the proxies")
    options = parser.parse_args()
    by_store: dict[str, list[Tried]] = {}
    for store in options.stores:
        with tempfile.TemporaryDirectory(dir=store.parent) as folder:
            by_store[store.name] = list(tried(store, Path(folder) / "store", options.objects))
        _print_found(store, by_store[store.name])
    _print_summary(by_store)


if __name__ == "__main__":
    main()
