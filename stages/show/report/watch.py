"""The monitors as the page shows them: the rows of each view, and sentences about what stands out in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from pdstore import Catalog
from stages.plan.pipeline import Pipeline

__all__ = ["Monitors", "Record", "read_monitors", "what_stands_out"]

Record = Mapping[str, Any]

MAX_LARGEST_SHARE = 0.8
MIN_EVENNESS = 0.5
MIN_SILHOUETTE = 0.0
MAX_DROPPED = 0.1
MAX_CHANGED = 0.5
MIN_CHANGED = 0.01


@dataclass(frozen=True)
class Monitors:
    """The rows of each monitor by node, in the pipeline's order.

    Attributes:
        coverage: one row per node, for the input that has the fewest images.
        notes: sentences about what is out of the ordinary.
    """

    parts: dict[str, list[Record]] = field(default_factory=dict)
    scores: dict[str, list[Record]] = field(default_factory=dict)
    areas: dict[str, list[Record]] = field(default_factory=dict)
    crf: dict[str, list[Record]] = field(default_factory=dict)
    collapse: dict[str, list[Record]] = field(default_factory=dict)
    clusters: dict[str, list[Record]] = field(default_factory=dict)
    use: dict[str, list[Record]] = field(default_factory=dict)
    coverage: list[Record] = field(default_factory=list)
    dropped: list[Record] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def read_monitors(catalog: Catalog, pipeline: Pipeline) -> Monitors:
    """Read all monitors."""
    order = {name: number for number, name in enumerate(pipeline.nodes)}

    def rows(view: str) -> list[Record]:
        records = catalog.query(f"SELECT * FROM {view}").to_pylist()
        return sorted(records, key=lambda row: order.get(row["node"], len(order)))

    crf, collapse, coverage, dropped = (
        rows("crf_changes"),
        rows("cluster_collapse"),
        _narrowest(rows("coverage")),
        rows("dropped"),
    )
    # Masks that people drew have no score.
    scores = [row for row in rows("score_histogram") if not _is_drawn(pipeline, row["node"])]
    return Monitors(
        parts=_by_node(rows("parts_per_object")),
        scores=_by_node(scores),
        areas=_by_node(rows("area_histogram")),
        crf=_by_node(crf),
        collapse=_by_node(collapse),
        clusters=_by_node(rows("cluster_sizes")),
        use=_by_node(rows("cluster_use")),
        coverage=coverage,
        dropped=dropped,
        notes=what_stands_out(coverage, crf, collapse),
    )


def _is_drawn(pipeline: Pipeline, node: str) -> bool:
    return node in pipeline.nodes and pipeline[node].is_truth


def what_stands_out(coverage: list[Record], crf: list[Record], collapse: list[Record]) -> tuple[str, ...]:
    """One sentence for each finding that is out of the ordinary in the rows of these three views."""
    return (*_dropping(coverage), *_smoothing(crf), *_collapsing(collapse))


def _by_node(rows: Iterable[Record]) -> dict[str, list[Record]]:
    return {node: list(group) for node, group in groupby(rows, key=lambda row: row["node"])}


def _narrowest(rows: list[Record]) -> list[Record]:
    """For each node, the row of the input with the fewest images; objects rather than images if they are equal."""
    groups = _by_node(rows).values()
    return [min(group, key=lambda row: (row["images_in"], row["role"] == "images")) for group in groups]


def _dropping(rows: Iterable[Record]) -> Iterator[str]:
    for row in rows:
        if row["dropped"] > MAX_DROPPED * row["images_in"]:
            share, with_reason = 100 * row["dropped"] / row["images_in"], row["with_reason"]
            reasons = f"{with_reason:,} of them with a reason" if with_reason else "none of them with a reason"
            yield f"{row['node']} has no rows for {share:.1f} % of the images of {row['source']}, {reasons}."


def _smoothing(rows: Iterable[Record]) -> Iterator[str]:
    for node, group in _by_node(rows).items():
        for share, unusual in (
            ("more than half", [r for r in group if r["pixels_changed"] > MAX_CHANGED]),
            ("less than 1 %", [r for r in group if r["pixels_changed"] < MIN_CHANGED]),
        ):
            if unusual:
                yield f"{node} changes {share} of the pixels of {_classes(unusual, group)}."


def _collapsing(rows: Iterable[Record]) -> Iterator[str]:
    for node, group in _by_node(rows).items():
        for problem, unusual in (
            (f"One cluster has more than {100 * MAX_LARGEST_SHARE:.0f} % of the segments", _over(group)),
            ("Some clusters are empty", [r for r in group if r["empty"]]),
            ("Cluster sizes are very uneven", [r for r in group if (r["evenness"] or 0.0) < MIN_EVENNESS]),
            ("Clusters are not separated (silhouette below 0)", [r for r in group if _is_mixed(r)]),
        ):
            if unusual:
                yield f"{problem} in {_classes(unusual, group)} ({node})."


def _over(rows: Iterable[Record]) -> list[Record]:
    return [row for row in rows if (row["largest_share"] or 0.0) > MAX_LARGEST_SHARE]


def _is_mixed(row: Record) -> bool:
    return row["silhouette"] is not None and row["silhouette"] < MIN_SILHOUETTE


def _classes(some: list[Record], every: list[Record]) -> str:
    if len(every) > 1 and len(some) == len(every):
        return f"all {len(every)} classes"
    names = ", ".join(row["class_name"] or "other objects" for row in some[:4])
    return names if len(some) <= 4 else f"{len(some)} of {len(every)} classes, such as {names}"
