"""``docs/tables.md`` and ``docs/errors.md``, printed from the code so that the pages always agree with it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

from pdstore.errors import PdError
from pdstore.sql.mask_functions import FUNCTIONS, MaskFunction
from pdstore.table import Table, View

__all__ = ["error_classes", "errors_page", "tables_page"]

_HEAD = """# Tables

Every table is an SQL view of the same name. The view has the columns below, plus `node` (the node that wrote the row)
and `layer` (the fingerprint of the row's layer). It shows the current layer of every node; `<table>_all` shows the
older layers too. Columns marked *vector* or *ragged* are `FLOAT[]` and `BLOB` in SQL, and a query reads them only if it
names them: `*` does not stand for them. In the store they are Zarr arrays in the block's `data.zarr`, in the same row
order as its `rows.parquet`. A ragged column `x` is stored as two arrays, the bytes `x` and `x_offsets` (row i is
`x[x_offsets[i]:x_offsets[i+1]]`).

This page is printed by `python -m schemas tables` and checked by a test.
"""


_MONITORS = """# Monitors

Views over the tables above that show the quality of a run without ground truth, for example
`pd sql "SELECT * FROM coverage"`. `pd report` shows them as charts, [report.md](report.md) says what to look for, and
`schemas/monitors.py` holds their SQL.
"""

_JUDGED = """# What people said, applied

Views that apply the table `judgements`; [judgements.md](judgements.md) shows how they are used.
"""


_FUNCTIONS = """# Functions of masks

In `pd sql` and in Python, for example `SELECT mask_bbox(rle, height, width).x FROM parts`. Masks are run lengths as the
column `rle` has them; `height` and `width` are those of the row. A function of NULL is NULL.

| function | type | what it gives |
|---|---|---|
"""


_ERRORS = """# Errors

Every expected failure is a `pdstore.errors.PdError`. Its message says what was expected, what was found, where, and
what to do; `problem`, `where` and `fix` are attributes of the error. The classes are sorted by what a handler would
do, and `pd` exits with the exit code of the class.

This page is printed by `python -m schemas errors` and checked by a test.

| class | base classes | exit code | what happened | what a handler does |
|---|---|---|---|---|
"""


def tables_page(tables: Iterable[Table], monitors: Iterable[View], judged: Iterable[View]) -> str:
    """``docs/tables.md`` as Markdown."""
    functions = _FUNCTIONS + "".join(f"{_function_row(name, f)}\n" for name, f in FUNCTIONS.items())
    further = [_MONITORS, *map(_section, monitors), _JUDGED, *map(_section, judged), functions]
    return "\n".join([_HEAD, *map(_section, tables), *further])


def errors_page() -> str:
    """``docs/errors.md`` as Markdown."""
    return _ERRORS + "".join(f"{_error_row(kind)}\n" for kind in error_classes())


def error_classes(base: type[PdError] = PdError) -> Iterator[type[PdError]]:
    """``base`` and the engine's classes below it, each before its subclasses, in the order of declaration."""
    yield base
    for kind in base.__subclasses__():
        # Classes of the stages, which may happen to be loaded, are not part of the engine's tree.
        if kind.__module__ == PdError.__module__:
            yield from error_classes(kind)


def _function_row(name: str, function: MaskFunction) -> str:
    arguments = ", ".join([*(argument for argument, _ in function.arguments), "height", "width"])
    return f"| `{name}({arguments})` | {function.result[0]} | {function.doc} |"


def _error_row(kind: type[PdError]) -> str:
    paragraphs = (inspect.getdoc(kind) or "").split("\n\n")
    happened, handler = (" ".join(paragraph.split()).replace("``", "`") for paragraph in paragraphs[:2])
    bases = ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
    return f"| `{kind.__name__}` | {bases} | {kind.exit_code} | {happened} | {handler} |"


def _section(table: Table | View) -> str:
    lines = [f"## {table.name}", "", table.doc, "", "| column | type | what it is |", "|---|---|---|"]
    for column in table.columns:
        kind = column.dtype if column.layout == "scalar" else f"{column.dtype} *{column.layout}*"
        lines.append(f"| `{column.name}` | {kind} | {column.doc} |")
    return "\n".join([*lines, ""])
