"""Tables of the page. A column or a row without any value is left out, and complete columns come first, so that a
narrow screen shows numbers before holes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from markupsafe import Markup, escape

from stages.plan.states import NodeState
from stages.show.report.benchmark_rows import ResultRow
from stages.show.report.scores import DatasetScores
from stages.show.report.watch import Record

__all__ = [
    "Column",
    "Table",
    "cluster_table",
    "coverage_table",
    "node_table",
    "number_table",
    "result_table",
    "table_of",
]

T = TypeVar("T")

HOLE = "–"


@dataclass(frozen=True)
class Column:
    """The head of a column.

    Attributes:
        kind: class of its cells in ``style.css``: ``n`` for numbers, ``n strong``, or empty for text.
    """

    title: str
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """What is shown of a table.

    Attributes:
        label: what the table is, for screen readers.
        rows: cells, each as text or markup, one per column. The first names the row.
        without: titles of the columns that were left out.
        has_holes: some cells have no value.
    """

    label: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    without: tuple[str, ...] = ()
    has_holes: bool = False


def table_of(label: str, columns: Sequence[Column], rows: Iterable[Sequence[str | None]]) -> Table:
    """The table without the columns that have no value, and without the rows that have no number; None is no value.

    Columns of numbers that lack some values come last; the order is kept otherwise.
    """
    numeric = [i for i, column in enumerate(columns) if column.kind.startswith("n")]
    kept = [row for row in rows if not numeric or any(row[i] is not None for i in numeric)]
    holes = [sum(row[i] is None for row in kept) for i in range(len(columns))]
    filled = [i for i in range(len(columns)) if holes[i] < len(kept)]
    order = sorted(filled, key=lambda i: i in numeric and holes[i] > 0)
    return Table(
        label,
        tuple(columns[i] for i in order),
        tuple(tuple(HOLE if row[i] is None else row[i] or "" for i in order) for row in kept),
        tuple(columns[i].title for i in range(len(columns)) if i not in filled),
        any(holes[i] for i in order),
    )


def _maybe(value: T | None, form: Callable[[T], str]) -> str | None:
    return None if value is None else form(value)


def _two(value: float) -> str:
    return f"{value:.2f}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _count(value: int) -> str:
    return f"{value:,}"


def _code(name: str, before: str = "") -> Markup:
    return Markup(f"{escape(before)} <code>{escape(name)}</code>").strip()


def result_table(rows: Sequence[ResultRow]) -> Table:
    """Every scored node by metric: honest, reference, published. The data set is a column if there are several."""
    several = len({row.dataset for row in rows}) > 1
    columns = [Column("model"), Column("metric"), Column("data set"), Column("honest", "n strong"),
               Column("reference", "n"), Column("published", "n"), Column("difference", "n")]  # fmt: skip
    cells = [
        (
            _code(row.node, row.model),
            row.metric,
            row.dataset if several else None,
            _maybe(row.honest, _two),
            _maybe(row.reference, _two),
            _maybe(row.published, _two),
            _maybe(row.difference, _signed),
        )
        for row in rows
    ]
    return table_of("results", columns, cells)


def number_table(scores: DatasetScores) -> Table:
    """All metrics over all classes, one row per node and protocol."""
    metrics = scores.all_metrics
    columns = [Column(scores.title), Column("protocol"), *(Column(metric, "n") for metric in metrics)]
    cells = [
        (_code(name), protocol, *(_maybe(scores.value(name, protocol, metric), _two) for metric in metrics))
        for name in scores.evaluated
        for protocol in scores.protocols(name)
    ]
    return table_of(f"all numbers on {scores.title}", columns, cells)


def coverage_table(rows: Sequence[Record]) -> Table:
    """What each node makes of its narrowest input."""
    numbers = ("images_in", "images_out", "dropped", "with_reason", "objects_in", "objects_out", "rows_in", "rows_out")
    titles = [name.replace("with_reason", "with a reason").replace("_", " ") for name in numbers]
    columns = [Column("node"), Column("reads"), *(Column(title, "n") for title in titles)]
    cells = [
        (
            _code(row["node"]),
            _code(row["source"]),
            # 0 objects: the rows are not about objects.
            *(_maybe(row[name] or (None if name.startswith("objects") else 0), _count) for name in numbers),
        )
        for row in rows
    ]
    return table_of("what reaches each node", columns, cells)


def cluster_table(node: str, rows: Sequence[Record], sizes: Sequence[Markup]) -> Table:
    """The clusters of each class. ``sizes``: a chart per row. Empty clusters are a column if there are any."""
    columns = [Column(node), Column("sizes", "grow"), Column("silhouette", "n strong"), Column("segments", "n"),
               Column("largest", "n"), Column("even", "n"), Column("empty", "n")]  # fmt: skip
    has_empty = any(row["empty"] for row in rows)
    cells = [
        (
            row["class_name"] or "other objects",
            chart,
            _maybe(row["silhouette"], _two),
            _count(row["segments"]),
            _maybe(row["largest_share"], lambda share: f"{100 * share:.1f} %"),
            _maybe(row["evenness"], _two),
            _count(row["empty"]) if has_empty else None,
        )
        for row, chart in zip(rows, sizes, strict=True)
    ]
    return table_of(f"clusters of {node}", columns, cells)


def node_table(nodes: Sequence[NodeState]) -> Table:
    """The state of each node. Failures and error rows are columns if there are any."""
    columns = [Column("node"), Column("stage"), Column("state"), Column("units", "n"), Column("failed", "n"),
               Column("error rows", "n"), Column("seconds", "n"), Column("layer")]  # fmt: skip
    has_failed, has_errors = any(node.failed for node in nodes), any(node.errors for node in nodes)
    cells = [
        (
            _code(node.node),
            node.stage,
            node.word,
            f"{len(node.done):,} of {node.units:,}",
            _count(len(node.failed)) if has_failed else None,
            _count(node.errors) if has_errors else None,
            f"{node.seconds:,.1f}" if node.done else None,
            _code(node.fingerprint[:8]),
        )
        for node in nodes
    ]
    return table_of("nodes", columns, cells)
