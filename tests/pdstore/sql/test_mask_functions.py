"""The functions of masks in SQL, against the masks painted as pixels."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from pdstore import masks
from pdstore.errors import UsageError
from pdstore.sql.functions import Problems
from pdstore.sql.mask_functions import FUNCTIONS, add_functions

SIZES = ((12, 9), (7, 7), (1, 20))


def stacks() -> list[npt.NDArray[np.bool_]]:
    """Per size (6, H, W) bool: drawn masks, an empty one, and a full one."""
    rng, found = np.random.default_rng(0), []
    for size in SIZES:
        stack = rng.random((6, *size)) < 0.4
        stack[4], stack[5] = False, True
        found.append(stack)
    return found


def ask(sql: str, rows: pa.Table | None = None) -> list[Any]:
    """The first column of the answer of a connection that knows the functions."""
    with duckdb.connect(":memory:") as connection:
        add_functions(connection, FUNCTIONS, Problems())
        if rows is not None:
            connection.register("rows", rows)
        return [row[0] for row in connection.sql(sql).fetchall()]


def table() -> tuple[pa.Table, list[npt.NDArray[np.bool_]]]:
    """Pairs of masks of mixed frames, and the masks themselves, first and second in turn."""
    rows, pairs = [], []
    for stack in stacks():
        strings = list(masks.encode(stack))
        for a, b in ((0, 1), (2, 3), (4, 4), (4, 5), (5, 0)):
            height, width = stack.shape[1:]
            rows.append({"a": strings[a], "b": strings[b], "height": height, "width": width})
            pairs += [stack[a], stack[b]]
    order = np.random.default_rng(1).permutation(len(rows))
    ordered = [mask for i in order for mask in (pairs[2 * i], pairs[2 * i + 1])]
    return pa.Table.from_pylist([{**rows[i], "n": n} for n, i in enumerate(order)]), ordered


def test_areas_are_the_numbers_of_pixels() -> None:
    """Rows of several frames may be in one call."""
    rows, pairs = table()
    assert ask("SELECT mask_area(a, height, width) FROM rows ORDER BY n", rows) == [int(m.sum()) for m in pairs[::2]]


def test_boxes_hold_the_pixels() -> None:
    """x and y are those of the upper left pixel; the box of an empty mask is zeros."""
    rows, pairs = table()
    for found, mask in zip(
        ask("SELECT mask_bbox(a, height, width) FROM rows ORDER BY n", rows), pairs[::2], strict=True
    ):
        y, x = np.nonzero(mask)
        box = (x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1) if len(x) else (0, 0, 0, 0)
        assert tuple(found.values()) == box and list(found) == ["x", "y", "width", "height"]


def test_iou_is_that_of_each_pair() -> None:
    """Two empty masks have 0."""
    rows, pairs = table()
    expected = [(a & b).sum() / max(1, (a | b).sum()) for a, b in zip(pairs[::2], pairs[1::2], strict=True)]
    assert ask("SELECT mask_iou(a, b, height, width) FROM rows ORDER BY n", rows) == pytest.approx(expected)


def test_a_union_is_that_of_a_list() -> None:
    """The string is the one that the united pixels are encoded as; the union of nothing is empty."""
    rows, pairs = table()
    expected = [masks.encode((a | b)[None])[0] for a, b in zip(pairs[::2], pairs[1::2], strict=True)]
    assert ask("SELECT mask_union([a, b], height, width) FROM rows ORDER BY n", rows) == expected
    assert ask("SELECT mask_union([a, NULL], height, width) = a FROM rows", rows) == [True] * len(rows)
    assert ask("SELECT mask_area(mask_union([]::BLOB[], 3, 4), 3, 4)") == [0]


def test_a_union_is_an_aggregate_with_list() -> None:
    """``mask_union(list(rle), …)`` unites the masks of a group."""
    rows, _ = table()
    sql = "SELECT mask_area(mask_union(list(a), height, width), height, width) FROM rows GROUP BY height, width"
    assert sorted(ask(sql, rows)) == sorted(height * width for height, width in SIZES)


@pytest.mark.parametrize(
    "call",
    ["mask_area(NULL, 3, 3)", "mask_iou('9'::BLOB, NULL, 3, 3)", "mask_union(NULL, 3, 3)", "mask_area('9', NULL, 3)"],
)
def test_of_null_there_is_null(call: str) -> None:
    """As SQL has it: without an argument there is no answer."""
    assert ask(f"SELECT {call}") == [None]


@pytest.mark.parametrize("text", ["", "nonsense", "11"])
def test_other_bytes_are_refused(text: str) -> None:
    """The error names the function, the frame, and the arguments that it takes."""
    problems = Problems()
    with duckdb.connect(":memory:") as connection:
        add_functions(connection, FUNCTIONS, problems)
        with pytest.raises(duckdb.Error):
            connection.sql(f"SELECT mask_area('{text}'::BLOB, 5, 6)").fetchall()
    assert isinstance(problems.first, UsageError)
    message = "mask_area: expected run lengths of 5 x 6 masks.*Give the height and width.*mask_area.rle, height, width"
    with pytest.raises(UsageError, match=message):
        raise problems.first


def test_only_what_is_asked_for_is_added() -> None:
    """A query that names no function pays for none."""
    with duckdb.connect(":memory:") as connection:
        add_functions(connection, {"mask_area", "other"}, Problems())
        found = connection.sql("SELECT function_name FROM duckdb_functions() WHERE function_name LIKE 'mask_%'")
        assert found.fetchall() == [("mask_area",)]
