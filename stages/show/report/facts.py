"""The few numbers at the head of the page: how much there is and, as far as it is known, how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from stages.show.report.contents import Contents
from stages.show.report.ladder import Rung

__all__ = ["Fact", "facts_of"]


@dataclass(frozen=True)
class Fact:
    """A number, what it counts, and a few words about it."""

    value: str
    title: str
    note: str = ""


def facts_of(contents: Contents) -> list[Fact]:
    """Images, classes, masks, clusters and, if there is ground truth, the score of the last model."""
    over, watch = contents.overview, contents.monitors
    splits = ", ".join(f"{name} {number:,}" for name, number in over.splits.items())
    facts = [Fact(f"{over.images:,}", "images", splits), Fact(f"{over.classes:,}", "classes")]
    # The node whose clusters are shown or, before there are any, the last one that has masks.
    node = contents.collages.node or next(reversed(watch.areas), "")
    if node in watch.areas:
        facts.append(Fact(f"{sum(row['masks'] for row in watch.areas[node]):,}", "masks", node))
    if watch.collapse:
        name, rows = list(watch.collapse.items())[-1]
        facts.append(Fact(f"{sum(row['clusters'] for row in rows):,}", "clusters", name))
        silhouettes = [row["silhouette"] for row in rows if row["silhouette"] is not None]
        if silhouettes:
            facts.append(Fact(f"{median(silhouettes):.2f}", "silhouette", "median of the classes, −1 to 1"))
    for page in contents.datasets:
        facts += _scores(page.rungs, page.scores.title)
    return [*facts, Fact(f"{over.done} of {len(over.nodes)}", "nodes done")]


def _scores(rungs: Sequence[Rung], dataset: str) -> list[Fact]:
    scored = [rung for rung in rungs if rung.miou is not None]
    return [Fact(f"{scored[-1].miou:.1f} %", "mIoU", f"{scored[-1].miou_node}, {dataset}, honest")] if scored else []
