"""The rows that a query gave, as Arrow, with ways to other libraries and a readable form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pdstore.errors import UsageError, nearest, printable

__all__ = ["Result", "missing_package"]

SHOWN_ROWS = 10
SHOWN_COLUMNS = 16
CELL_CHARACTERS = 32


class Result(Sequence[dict[str, Any]]):
    """Rows, in memory, as an Arrow table.

    A number gives one row as a dict, a slice gives a :class:`Result`, and a name gives a column as a NumPy array.
    Whatever reads Arrow takes it as it is: ``polars.DataFrame(rows)``, ``pyarrow.table(rows)``, ``db.sql(…, my=rows)``.

    Args:
        table: the rows.
        shown: how many of them are printed at most.

    >>> rows = db.sql("SELECT image_id, area, score FROM parts ORDER BY area DESC LIMIT 3")
    >>> len(rows), rows.columns
    (3, ['image_id', 'area', 'score'])
    >>> sorted(rows[0])
    ['area', 'image_id', 'score']
    >>> rows["area"].shape
    (3,)
    """

    def __init__(self, table: pa.Table, shown: int = SHOWN_ROWS) -> None:
        self._table, self._shown_rows = table, shown

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._table.column_names)

    def arrow(self) -> pa.Table:
        """The rows as ``pyarrow.Table``, without a copy."""
        return self._table

    def df(self) -> Any:
        """The rows as ``pandas.DataFrame``.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise missing_package("pandas") from None
        return self._table.to_pandas()

    def pl(self) -> Any:
        """The rows as ``polars.DataFrame``.

        Raises:
            UsageError: polars is not installed.
        """
        try:
            import polars
        except ImportError:
            raise missing_package("polars") from None
        return polars.from_arrow(self._table)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self._table.to_batches(max_chunksize=1024):
            yield from batch.to_pylist()

    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> Result: ...
    @overload
    def __getitem__(self, key: str) -> npt.NDArray[Any]: ...
    def __getitem__(self, key: int | slice | str) -> dict[str, Any] | Result | npt.NDArray[Any]:
        if isinstance(key, str):
            return self._column(key)
        if isinstance(key, slice):
            return Result(self._table.take(np.arange(len(self))[key]))
        number = range(len(self))[key]
        row: dict[str, Any] = self._table.slice(number, 1).to_pylist()[0]
        return row

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def __eq__(self, other: object) -> bool:
        return bool(self._table.equals(other._table)) if isinstance(other, Result) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        head, rows = self._shown()
        widths = [max(map(len, cells)) for cells in zip(head, *rows, strict=True)]
        pads = [str.rjust if _is_number(kind) else str.ljust for kind in self._table.schema.types[: len(head)]]
        lines = [
            "  ".join(pad(cell, width) for pad, cell, width in zip(pads, cells, widths, strict=True)).rstrip()
            for cells in (head, *rows)
        ]
        return "\n".join([*lines, self._count()])

    def _repr_html_(self) -> str:
        head, rows = self._shown()
        cells = "".join(f"<th>{escape(name)}</th>" for name in head)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table><p>{escape(self._count())}</p>"

    def _column(self, name: str) -> npt.NDArray[Any]:
        if name not in self.columns:
            raise UsageError(f"there is no column {name!r}", "rows", nearest(name, self.columns))
        values: npt.NDArray[Any] = self._table.column(name).to_numpy()
        return values

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        table = self._table.slice(0, self._shown_rows).select(list(range(min(SHOWN_COLUMNS, self._table.num_columns))))
        head = [printable(name, keep="") for name in table.column_names]
        rows = [[_cell(value) for value in row] for row in zip(*(c.to_pylist() for c in table.columns), strict=True)]
        return head, rows

    def _count(self) -> str:
        count, columns = len(self), self._table.num_columns
        text = f"{count:,} row{'s' * (count != 1)}, {columns} column{'s' * (columns != 1)}"
        limits = ((self._shown_rows, count, "rows"), (SHOWN_COLUMNS, columns, "columns"))
        shown = [f"first {limit} {noun}" for limit, number, noun in limits if number > limit]
        return f"{text} ({' and '.join(shown)} shown)" if shown else text


def missing_package(name: str) -> UsageError:
    """The error of a package that is not installed."""
    return UsageError(f"the package {name} is not installed", "", "Install it with: pip install 'pdstore[notebook]'")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and len(value) > 3:
        return f"[{', '.join(_cell(item) for item in value[:2])}, … {len(value)} in all]"
    text = printable("" if value is None else str(value), keep="")
    return text if len(text) <= CELL_CHARACTERS else f"{text[: CELL_CHARACTERS - 1]}…"
