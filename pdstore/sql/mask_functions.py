"""SQL functions of masks: ``mask_area``, ``mask_bbox``, ``mask_iou`` and ``mask_union``, on run lengths.

Masks are COCO compressed run lengths, as the column ``rle`` has them; ``height`` and ``width`` are those of their
frame, in pixels. A function of NULL is NULL. No pixel is painted: cost grows with the runs. The first use of a function
compiles it (:mod:`pdstore.runs`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pdstore.errors import CorruptData, UsageError
from pdstore.ragged import Ragged
from pdstore.sql.functions import Problems

__all__ = ["FUNCTIONS", "MaskFunction", "add_functions"]

_BOX = pa.struct([(name, pa.int32()) for name in ("x", "y", "width", "height")])


@dataclass(frozen=True)
class MaskFunction:
    """A function of masks of one frame.

    Attributes:
        doc: what it gives.
        arguments: (name, SQL type) of those before ``height`` and ``width``.
        result: its SQL type, and the same in Arrow.
        compute: (values of each argument, height, width) -> values of the result, for rows without NULL.
    """

    doc: str
    arguments: tuple[tuple[str, str], ...]
    result: tuple[str, pa.DataType]
    compute: Callable[..., list[Any]]


def add_functions(connection: duckdb.DuckDBPyConnection, names: Collection[str], problems: Problems) -> None:
    """Let the connection know those of the functions that are among ``names``."""
    for name in FUNCTIONS.keys() & names:
        function = FUNCTIONS[name]
        types = [kind for _, kind in function.arguments] + ["BIGINT", "BIGINT"]
        call = _by_frame(name, function)
        problems.add_function(connection, name, call, types, function.result[0], sees_null=True)


def _by_frame(name: str, function: MaskFunction) -> Callable[..., pa.Array]:
    """The function on columns of any frames and with NULL."""
    names = [*(argument for argument, _ in function.arguments), "height", "width"]

    def call(*columns: pa.ChunkedArray) -> pa.Array:
        values = [column.to_pylist() for column in columns]
        found: list[Any] = [None] * len(values[0])
        for (height, width), rows in _frames(values):
            taken = [[column[row] for row in rows] for column in values[:-2]]
            try:
                results = function.compute(*taken, height, width)
            except (CorruptData, ValueError) as error:
                detail = getattr(error, "problem", str(error)).removeprefix("a stored mask is damaged: ")
                problem = f"expected run lengths of {height} x {width} masks, found other ones: {detail}"
                fix = f"Give the height and width of their row: {name}({', '.join(names)})"
                raise UsageError(problem, name, fix) from None
            for row, result in zip(rows, results, strict=True):
                found[row] = result
        return pa.array(found, function.result[1])

    # DuckDB asks for as many parameters as types.
    parameters = [Parameter(name, Parameter.POSITIONAL_ONLY) for name in names]
    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return call


def _frames(values: list[list[Any]]) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """(height, width) -> the rows of this frame that have no NULL."""
    rows: dict[tuple[int, int], list[int]] = {}
    for number, row in enumerate(zip(*values, strict=True)):
        if all(value is not None for value in row):
            rows.setdefault((row[-2], row[-1]), []).append(number)
    yield from rows.items()


def _area(rle: list[bytes], height: int, width: int) -> list[Any]:
    from pdstore import runs

    return list(runs.areas(runs.read(Ragged.from_list(rle), height, width)).tolist())


def _bbox(rle: list[bytes], height: int, width: int) -> list[Any]:
    from pdstore import runs

    found = runs.boxes(runs.read(Ragged.from_list(rle), height, width)).astype(int)
    return [dict(zip(("x", "y", "width", "height"), box, strict=True)) for box in found.tolist()]


def _iou(first: list[bytes], second: list[bytes], height: int, width: int) -> list[Any]:
    from pdstore import runs

    both = runs.read(Ragged.from_list([*first, *second]), height, width)
    pairs = np.tile(np.arange(len(first)), 2)
    united = runs.areas(runs.unions(both, np.arange(len(both)), pairs, len(first)))
    areas = runs.areas(both)
    shared = areas[: len(first)] + areas[len(first) :] - united
    return list((shared / np.maximum(united, 1)).tolist())


def _union(groups: list[list[bytes | None]], height: int, width: int) -> list[Any]:
    from pdstore import runs

    members = [(number, rle) for number, group in enumerate(groups) for rle in group if rle is not None]
    read = runs.read(Ragged.from_list([rle for _, rle in members]), height, width)
    group: npt.NDArray[np.int64] = np.array([number for number, _ in members], np.int64)
    return list(runs.strings(runs.unions(read, np.arange(len(members)), group, len(groups))))


FUNCTIONS = {
    "mask_area": MaskFunction("number of pixels of a mask", (("rle", "BLOB"),), ("BIGINT", pa.int64()), _area),
    "mask_bbox": MaskFunction(
        "box around a mask: x and y of its upper left pixel, width and height, in pixels; zeros for an empty mask",
        (("rle", "BLOB"),),
        ("STRUCT(x INTEGER, y INTEGER, width INTEGER, height INTEGER)", _BOX),
        _bbox,
    ),
    "mask_iou": MaskFunction(
        "intersection over union of two masks of one frame; 0 if both are empty",
        (("first", "BLOB"), ("second", "BLOB")),
        ("DOUBLE", pa.float64()),
        _iou,
    ),
    "mask_union": MaskFunction(
        "union of a list of masks of one frame, such as list(rle) of a group; NULL in the list is left out",
        (("masks", "BLOB[]"),),
        ("BLOB", pa.binary()),
        _union,
    ),
}
"""Name -> function, as ``pd sql`` and Python have them."""
