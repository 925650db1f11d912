"""``docs/tables.md`` from the declarations, so that the page cannot say anything else than the code."""

from __future__ import annotations

from collections.abc import Iterable

from pdstore.table import Table, View

__all__ = ["tables_page"]

_HEAD = """# Tables

Every table is one SQL view of the same name. The view has the columns below plus `node` (which node wrote the row) and
`layer` (under which fingerprint), and shows the current layer of every node; `<table>_all` shows the older layers too.
Columns marked *vector* and *ragged* are not in SQL: they are Zarr arrays in the block's `data.zarr`, row by row
aligned with its `rows.parquet`. A ragged column `x` is two arrays, the bytes `x` and `x_offsets` (row i is
`x[x_offsets[i]:x_offsets[i+1]]`).

This page is printed by `python -m schemas` and checked by a test.
"""


_MONITORS = """# Monitors

What tells the quality of a run without ground truth: views over the tables above, for example
`pd sql "SELECT * FROM coverage"`. `pd report` shows them as charts, [report.md](report.md) says what to look for, and
their SQL is in `schemas/monitors.py`.
"""


def tables_page(tables: Iterable[Table], monitors: Iterable[View]) -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *map(_section, tables), _MONITORS, *map(_section, monitors)])


def _section(table: Table | View) -> str:
    lines = [f"## {table.name}", "", table.doc, "", "| column | type | what it is |", "|---|---|---|"]
    for column in table.columns:
        kind = column.dtype if column.layout == "scalar" else f"{column.dtype} *{column.layout}*"
        lines.append(f"| `{column.name}` | {kind} | {column.doc} |")
    return "\n".join([*lines, ""])
