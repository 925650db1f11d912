"""Tables as text: fitted to a terminal, or as wide as they need to be."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pdstore.errors import printable

__all__ = ["fitted", "unfitted"]

PIPE_COLUMNS = 400
WORD = 12
"""A word in a cell is broken only if it is longer than this many characters."""
GAP = 3
"""Characters between two columns."""
_EMPTY = ("", None)
STYLES = {"done": "green", "running": "cyan", "stale": "yellow", "failed": "red", "partly done": "blue"}


def unfitted(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The table as text without styles, as wide as it needs to be."""
    console = Console(file=io.StringIO(), width=PIPE_COLUMNS, highlight=False)
    with console.capture() as captured:
        console.print(_table(columns, rows, [None] * len(columns)))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def fitted(columns: Sequence[str], rows: Sequence[Sequence[Any]], spare: set[str]) -> None:
    """Print the table on the terminal that stdout is, without those columns of ``spare`` that are empty."""
    used = [n for n, name in enumerate(columns) if name not in spare or any(row[n] not in _EMPTY for row in rows)]
    columns, rows = [columns[n] for n in used], [[row[n] for n in used] for row in rows]
    console = Console(highlight=False)
    widths = _widths(console, columns, rows)
    if widths is None:
        console.print(_records(columns, rows), soft_wrap=True)
    else:
        console.print(_table(columns, rows, widths))


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]], widths: Sequence[int | None]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, (name, width) in enumerate(zip(columns, widths, strict=True)):
        values = [row[number] for row in rows if row[number] not in _EMPTY]
        is_number = bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold", width=width)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return table


def _widths(console: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[int] | None:
    """The width of each column: the widest columns shrink first. None if the words do not fit at any width.

    A word of a heading is never broken, a word of a cell only if it is longer than ``WORD``.
    """
    widths, least = [], []
    for number, name in enumerate(columns):
        heading = Measurement.get(console, console.options, Text(name))
        cells = [Measurement.get(console, console.options, _cell(row[number])) for row in rows]
        widths.append(max(m.maximum for m in (heading, *cells)))
        least.append(max(heading.minimum, *(min(WORD, m.minimum) for m in cells), 1))
    while sum(widths) + GAP * (len(widths) - 1) > console.width:
        wide = [n for n, width in enumerate(widths) if width > least[n]]
        if not wide:
            return None
        widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


def _records(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Text:
    """One line per cell that is not empty, beginning with its heading; an empty line between rows."""
    margin = max(map(len, columns))
    return Text("\n\n").join(
        Text("\n").join(
            Text(f"{name:{margin}}  ").append_text(_cell(value))
            for name, value in zip(columns, row, strict=True)
            if value not in _EMPTY
        )
        for row in rows
    )


def _cell(value: Any) -> Text:
    if isinstance(value, float):
        value = f"{value:.4g}" if abs(value) < 1e6 else f"{value:.0f}"
    text = "" if value is None else printable(str(value), keep="")
    return Text(text, style=STYLES.get(text, ""))
