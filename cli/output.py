"""What verbs print: tables and JSON on stdout, lines on stderr."""

from __future__ import annotations

import io
import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pdstore.errors import printable

__all__ = ["print_json", "print_table", "say", "seconds_text"]

PIPE_COLUMNS = 400
WORD = 12
"""A word in a cell is broken only if it is longer than this many characters."""
GAP = 3
"""Characters between two columns."""
_EMPTY = ("", None)
_UNESCAPED = re.compile(r"[\x7f-\x9f\ud800-\udfff]")
STYLES = {"done": "green", "running": "cyan", "stale": "yellow", "failed": "red", "partly done": "blue"}


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], spare: Iterable[str] = ()) -> None:
    """Print a table on stdout, with numbers aligned to the right.

    On a pipe the table is as wide as it needs to be. On a terminal it is fitted to the width; where that would break
    words, each row is printed as one line per cell instead.

    Args:
        spare: columns that are left out on a terminal if all their cells are empty.
    """
    columns, listed = [printable(name, keep="") for name in columns], [list(row) for row in rows]
    if sys.stdout.isatty():
        _fitted(columns, listed, set(spare))
        return
    console = Console(file=io.StringIO(), width=PIPE_COLUMNS, highlight=False)
    with console.capture() as captured:
        console.print(_table(columns, listed, [None] * len(columns)))
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _fitted(columns: Sequence[str], rows: Sequence[Sequence[Any]], spare: set[str]) -> None:
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


def print_json(value: Any) -> None:
    """Print one JSON document on stdout. Numbers that are not finite become null, as JSON cannot express them."""
    text = json.dumps(_finite(value), indent=1, ensure_ascii=False, default=str, allow_nan=False)
    # JSON itself escapes only some of the control characters. The value that a program reads is the same.
    print(_UNESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(text: str) -> None:
    """Print a line for the reader on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def seconds_text(seconds: float) -> str:
    """``4.2 s``, ``3:05 min``, ``2:00:05 h``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    text = str(timedelta(seconds=round(seconds)))
    return f"{text} h" if seconds >= 3600 else f"{text[2:].lstrip('0') or '0'} min"


def _cell(value: Any) -> Text:
    if isinstance(value, float):
        value = f"{value:.4g}" if abs(value) < 1e6 else f"{value:.0f}"
    text = "" if value is None else printable(str(value), keep="")
    return Text(text, style=STYLES.get(text, ""))
