"""The page: one template turns what was read into HTML. It is a single file without scripts or network access."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from math import log2

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pdstore.errors import printable
from stages.kernels.pictures import colour_of
from stages.show.report import charts
from stages.show.report.contents import Contents
from stages.show.report.facts import facts_of
from stages.show.report.ladder import TITLES, in_sentence
from stages.show.report.losses import loss_chart
from stages.show.report.tables import Table, cluster_table, coverage_table, node_table, number_table, result_table
from stages.show.report.trainings import Training
from stages.show.report.watch import Record

__all__ = ["render"]

OPEN_CARDS = 2
OPEN_CLASSES = 3
"""How many cards of a group, and how many classes, are open; the others open with a click."""
MAX_ROWS = 30
"""How many classes of a node a chart of the monitors shows."""
MAX_POINTS = 400
MAX_PARTS = 12
_AREA_AXES = ("share of the image", "masks")
_HALVINGS = 16
"""How many times the histogram of areas halves the area of the image."""


def render(contents: Contents, command: str = "pd") -> str:
    """The page as HTML. Equal contents give equal bytes.

    Args:
        command: how the reader calls ``pd`` on this store; the page shows it in commands to run.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "percent": _percent,
        "share": _share,
        "count_of": "{:,}".format,
        "in_sentence": in_sentence,
    }
    environment.globals |= {
        "histogram_of_parts": _parts,
        "histogram_of_scores": _scores,
        "histogram_of_areas": _areas,
        "bar": charts.bar,
        "class_bar": _class_bar,
        "cluster_stack": _clusters,
        "curve": _curve,
        "loss_chart": loss_chart,
        "facts": facts_of(contents),
        "max_rows": MAX_ROWS,
        "open_cards": OPEN_CARDS,
        "open_classes": OPEN_CLASSES,
        "all_results": [row for page in contents.datasets for row in page.results],
        "stages": {state.node: state.stage for state in contents.overview.nodes},
        "cluster_table": _cluster_table,
        "columns_of": _columns_of,
        "coverage_table": coverage_table,
        "node_table": node_table,
        "number_table": number_table,
        "result_table": result_table,
        "swatch": _swatch,
        "stage_titles": TITLES,
        "most_by": _most_by,
    }
    folder = resources.files("stages.show.report")
    style = Markup((folder / "style.css").read_text(encoding="utf-8"))
    template = environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
    return printable(template.render(report=contents, style=style, command=command))


def _columns_of(pictures: int) -> int:
    """In how many columns the pictures of a card stand: at most five, with as few gaps as possible."""
    return pictures if pictures <= 5 else min((4, 5), key=lambda columns: -pictures % columns)


def _most_by(rows: Sequence[Record], column: str) -> Sequence[Record]:
    """All rows; if there are more than ``MAX_ROWS``, those with the largest values."""
    if len(rows) <= MAX_ROWS:
        return rows
    return sorted(rows, key=lambda row: -(row[column] or 0.0))[:MAX_ROWS]


def _parts(rows: Sequence[Record]) -> Markup:
    counts: dict[int, int] = {}
    for row in rows:
        number = min(row["parts"], MAX_PARTS)
        counts[number] = counts.get(number, 0) + row["objects"]
    last = max(6, *counts)
    names = [f"{n} or more" if n == MAX_PARTS else str(n) for n in range(1, last + 1)]
    bins = [charts.Column(counts.get(n, 0), f"{name}: {counts.get(n, 0):,} objects") for n, name in enumerate(names, 1)]
    ticks = [((n - 0.5) / last, f"{n}+" if n == MAX_PARTS else str(n)) for n in range(1, last + 1)]
    return charts.columns(bins, ticks, ("parts of an object", "objects"))


def _scores(rows: Sequence[Record]) -> Markup:
    counts = {round(row["score_from"] * 20): row["masks"] for row in rows}
    bins = [
        charts.Column(counts.get(n, 0), f"{n / 20:.2f} to {(n + 1) / 20:.2f}: {counts.get(n, 0):,} masks")
        for n in range(20)
    ]
    return charts.columns(bins, [(0, "0"), (0.5, "0.5"), (1, "1")], ("score", "masks"))


def _areas(rows: Sequence[Record]) -> Markup:
    counts = {round(log2(row["share_to"])): row["masks"] for row in rows}
    bins = [
        charts.Column(counts.get(n, 0), f"{2.0 ** (n - 1):.3%} to {2.0**n:.3%}: {counts.get(n, 0):,} masks")
        for n in range(1 - _HALVINGS, 1)
    ]
    ticks = ((0.0001, "0.01 %"), (0.01, "1 %"), (1.0, "100 %"))
    return charts.columns(bins, [(1 + log2(share) / _HALVINGS, label) for share, label in ticks], _AREA_AXES)


def _class_bar(value: float, title: str, before: dict[str, float]) -> Markup:
    marks = [charts.Mark(miou, f"{stage}: {miou:.2f}", n) for n, (stage, miou) in enumerate(before.items())]
    return charts.bar(value, f"{title}: {value:.2f}", marks=marks)


def _clusters(rows: Sequence[Record]) -> Markup:
    return charts.stack(
        [(row["share"] or 0.0, row["cluster"], f"cluster {row['cluster']}: {_share(row['share'])}") for row in rows]
    )


def _cluster_table(node: str, rows: Sequence[Record], clusters: Sequence[Record]) -> Table:
    of_class: dict[int, list[Record]] = {row["category_id"]: [] for row in rows}
    for cluster in clusters:
        if cluster["category_id"] in of_class:
            of_class[cluster["category_id"]].append(cluster)
    return cluster_table(node, rows, [_clusters(of_class[row["category_id"]]) for row in rows])


def _curve(training: Training) -> Markup:
    every = -(-len(training.steps) // MAX_POINTS)
    return charts.curve([*training.steps[:-1:every], training.steps[-1]], ("steps", "loss"))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}".replace("%", " %")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _swatch(number: int) -> Markup:
    """The colour of a cluster, as it is in pictures."""
    return Markup('<span class="swatch" style="background:rgb({},{},{})"></span>').format(*colour_of(number))
