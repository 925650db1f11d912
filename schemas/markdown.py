"""``docs/tables.md``, printed from the declarations so that the page and the code always agree."""

from __future__ import annotations

from collections.abc import Iterable

from pdstore.table import Table, View

__all__ = ["tables_page"]

_HEAD = """# Tables

Every table is an SQL view of the same name. The view has the columns below, plus `node` (the node that wrote the row)
and `layer` (the fingerprint of the row's layer). It shows the current layer of every node; `<table>_all` shows the
older layers too. Columns marked *vector* or *ragged* are not in SQL: they are Zarr arrays in the block's `data.zarr`,
in the same row order as its `rows.parquet`. A ragged column `x` is stored as two arrays, the bytes `x` and `x_offsets`
(row i is `x[x_offsets[i]:x_offsets[i+1]]`).

This page is printed by `python -m schemas` and checked by a test.
"""


_MONITORS = """# Monitors

Views over the tables above that show the quality of a run without ground truth, for example
`pd sql "SELECT * FROM coverage"`. `pd report` shows them as charts, [report.md](report.md) says what to look for, and
`schemas/monitors.py` holds their SQL.
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
