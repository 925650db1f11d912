"""The declaration of a table, and its rows. One declaration drives Parquet, Zarr, SQL views and documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pdstore.ragged import Ragged

__all__ = ["Column", "Rows", "Table", "Values", "View"]

Values = npt.NDArray[Any] | Ragged

_ARROW: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        dtype: for a scalar one of int64, int32, float32, float64, bool, string; for a vector a NumPy dtype.
        doc: what the column holds, with unit and coordinate frame.
        layout: ``scalar`` goes to Parquet; ``vector`` is a 2-D Zarr array (rows, D); ``ragged`` is one byte string per
            row, stored as the two Zarr arrays ``name`` and ``name_offsets``. SQL reads these two if they are named.
    """

    name: str
    dtype: str
    doc: str
    layout: Literal["scalar", "vector", "ragged"] = "scalar"

    def __post_init__(self) -> None:
        if self.layout == "scalar" and self.dtype not in _ARROW:
            raise ValueError(f"column {self.name}: a scalar must be one of {sorted(_ARROW)}, got {self.dtype}")

    @property
    def arrow(self) -> pa.DataType:
        return _ARROW[self.dtype]


@dataclass(frozen=True)
class Table:
    """The name of a table, what one row is, and the columns.

    Attributes:
        sliced_by: an integer column, or empty. Rows rise by it, and the vectors of a range of its values can be read
            without those of the others: see :class:`pdstore.slices.reader.Slices`.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    sliced_by: str = ""

    @property
    def scalars(self) -> tuple[Column, ...]:
        return tuple(c for c in self.columns if c.layout == "scalar")

    @property
    def arrays(self) -> tuple[Column, ...]:
        return tuple(c for c in self.columns if c.layout != "scalar")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

    @property
    def arrow_schema(self) -> pa.Schema:
        return pa.schema([(c.name, c.arrow) for c in self.scalars])

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value or name != "sliced_by"}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Table:
        columns = tuple(Column(**c) for c in values["columns"])
        return cls(values["name"], values["doc"], columns, values.get("sliced_by", ""))


@dataclass(frozen=True)
class View:
    """A query that is often needed: its name, what one row of the result is, the scalar columns, and the SQL."""

    name: str
    doc: str
    columns: tuple[Column, ...]
    sql: str


class Rows:
    """Rows of a table, column by column; valid once constructed.

    Args:
        table: the declaration.
        columns: name -> (N,) values of a scalar, (N, D) of a vector, or a :class:`Ragged` of length N.
            With ``partial=True``, as after a read of some columns, a subset of the columns is enough.

    Raises:
        ValueError: a column is missing or unknown, has a different length, a wrong type, or integers out of range.
    """

    def __init__(self, table: Table, columns: Mapping[str, Any], *, partial: bool = False) -> None:
        self.table = table
        unknown = set(columns) - set(table.names)
        missing = set() if partial else set(table.names) - set(columns)
        if unknown or missing:
            raise ValueError(f"rows of {table.name}: unknown columns {sorted(unknown)}, missing {sorted(missing)}")
        self.columns: dict[str, Values] = {
            c.name: _checked(c, columns[c.name], table.name) for c in table.columns if c.name in columns
        }
        lengths = {name: len(values) for name, values in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"rows of {table.name}: the columns have different lengths {lengths}")
        self._length = next(iter(lengths.values()), 0)

    @classmethod
    def empty(cls, table: Table) -> Rows:
        blank = {"scalar": [], "ragged": Ragged.from_list([]), "vector": np.zeros((0, 0))}
        return cls(table, {c.name: blank[c.layout] for c in table.columns})

    @classmethod
    def from_records(cls, table: Table, records: Iterable[Mapping[str, Any]]) -> Rows:
        """From one mapping per row, with scalars, (D,) vectors and bytes."""
        listed = list(records)
        if not listed:
            return cls.empty(table)
        columns: dict[str, Any] = {}
        for c in table.columns:
            values = [record[c.name] for record in listed]
            columns[c.name] = Ragged.from_list(values) if c.layout == "ragged" else values
        return cls(table, columns)

    @classmethod
    def filled(cls, table: Table, length: int, columns: Mapping[str, Any]) -> Rows:
        """``length`` rows, of which a scalar column may be given as the single value that all rows have.

        Raises:
            ValueError: as the constructor.
        """
        spread = dict(columns)
        for c in table.scalars:
            if c.name in spread and np.ndim(spread[c.name]) == 0:
                spread[c.name] = np.full(length, spread[c.name], object if c.dtype == "string" else None)
        return cls(table, spread)

    @classmethod
    def concat(cls, table: Table, items: Iterable[Rows]) -> Rows:
        parts = [rows for rows in items if len(rows)]
        if len(parts) < 2:
            return parts[0] if parts else cls.empty(table)
        joined: dict[str, Any] = {}
        for name in parts[0].columns:
            values = [rows.columns[name] for rows in parts]
            ragged = [v for v in values if isinstance(v, Ragged)]
            joined[name] = Ragged.concat(ragged) if ragged else np.concatenate([np.asarray(v) for v in values])
        return cls(table, joined, partial=True)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """A scalar or vector column."""
        values = self.columns[name]
        if isinstance(values, Ragged):
            raise TypeError(f"{self.table.name}.{name} is ragged: read it with .ragged({name!r})")
        return values

    def ragged(self, name: str) -> Ragged:
        values = self.columns[name]
        if not isinstance(values, Ragged):
            raise TypeError(f"{self.table.name}.{name} is not ragged")
        return values

    @classmethod
    def _of(cls, table: Table, columns: dict[str, Values], length: int) -> Rows:
        """Rows that were cut out of valid ones: they are valid, too, and are not checked again."""
        rows = object.__new__(cls)
        rows.table, rows.columns, rows._length = table, columns, length
        return rows

    def take(self, index: npt.ArrayLike | slice) -> Rows:
        """The rows at ``index``, in that order: (M,) int, (N,) bool, or a slice, whose rows are a view of these."""
        picked = index if isinstance(index, slice) else np.arange(len(self))[np.asarray(index)]
        taken = {n: v.take(picked) if isinstance(v, Ragged) else v[picked] for n, v in self.columns.items()}
        length = len(range(len(self))[picked]) if isinstance(picked, slice) else len(picked)
        return Rows._of(self.table, taken, length)

    def sorted(self, *names: str) -> Rows:
        """The rows by rising values of these scalar columns, the first one foremost; equal rows keep their order."""
        return self.take(np.lexsort([self[name] for name in reversed(names)]))

    def spans(self, name: str) -> dict[int, slice]:
        """Value of an integer column by which the rows rise -> the slice of the rows that have it.

        Raises:
            ValueError: the rows do not rise by the column.
        """
        values = self[name]
        if (values[1:] < values[:-1]).any():
            raise ValueError(f"rows of {self.table.name} must rise by {name}; sort them with .sorted({name!r})")
        starts = np.flatnonzero(np.diff(values, prepend=values[:1] - 1))
        ends = np.append(starts[1:], len(values))
        return dict(zip(values[starts].tolist(), map(slice, starts.tolist(), ends.tolist()), strict=True))

    def by(self, name: str) -> dict[int, npt.NDArray[np.int64]]:
        """Value of an integer column -> numbers of the rows that have it, in order."""
        values = self[name]
        order = np.argsort(values, kind="stable")
        keys, starts = np.unique(values[order], return_index=True)
        return {int(k): rows for k, rows in zip(keys, np.split(order, starts[1:]), strict=True)} if len(keys) else {}

    def to_arrow(self) -> pa.Table:
        """The scalar columns."""
        fields = [c for c in self.table.scalars if c.name in self.columns]
        arrays = [pa.array(self[c.name].tolist() if c.dtype == "string" else self[c.name], c.arrow) for c in fields]
        return pa.Table.from_arrays(arrays, schema=pa.schema([(c.name, c.arrow) for c in fields]))


def _checked(column: Column, values: Any, table: str) -> Values:
    if column.layout == "ragged":
        if not isinstance(values, Ragged):
            raise ValueError(f"{table}.{column.name} must be a Ragged, got {type(values).__name__}")
        return values
    array = np.asarray(values)
    if column.dtype == "string":
        if array.size and not all(isinstance(v, str) for v in array.ravel().tolist()):
            raise ValueError(f"{table}.{column.name} must be strings, got {array.ravel()[:3]}")
        return array.astype(object)
    kind = np.dtype(column.dtype).kind
    if array.size and array.dtype.kind not in {"i": "iub", "f": "fiu", "b": "b"}[kind]:
        raise ValueError(f"{table}.{column.name} must be {column.dtype}, got {array.dtype}")
    dimensions = 2 if column.layout == "vector" else 1
    if array.ndim != dimensions:
        raise ValueError(f"{table}.{column.name} must have {dimensions} dimensions, got shape {array.shape}")
    cast = array.astype(column.dtype, copy=False)
    if kind == "i" and not np.array_equal(cast, array):
        raise ValueError(f"{table}.{column.name} must fit {column.dtype}, got values up to {array.max()}")
    return cast
