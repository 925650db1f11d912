from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pdstore.errors import CorruptData
from pdstore.sql.functions import Problems


def double(column: pa.ChunkedArray) -> pa.Array:
    """Twice the number; 0 for NULL, if it is asked about it."""
    numbers = column.to_pylist()
    if any(number == 13 for number in numbers):
        raise CorruptData("13 is damaged", "row", "Run: pd verify")
    return pa.array([2 * (number or 0) for number in numbers], pa.int64())


@pytest.mark.parametrize(("sees_null", "expected"), [(False, None), (True, 0)])
def test_a_function_is_called_with_columns(sees_null: bool, expected: Any) -> None:
    """NULL is answered with NULL unless the function wants to see it."""
    with duckdb.connect(":memory:") as connection:
        Problems().add_function(connection, "double", double, ["BIGINT"], "BIGINT", sees_null=sees_null)
        found = connection.sql("SELECT double(n) FROM (VALUES (1), (NULL), (4)) t(n)").fetchall()
    assert found == [(2,), (expected,), (8,)]


def test_the_error_of_a_function_is_kept() -> None:
    """DuckDB's own error has its text alone; the first one can be raised as it was, with its class and its remedy."""
    problems = Problems()
    with duckdb.connect(":memory:") as connection:
        problems.add_function(connection, "double", double, ["BIGINT"], "BIGINT")
        assert connection.sql("SELECT double(1)").fetchall() == [(2,)] and problems.first is None
        with pytest.raises(duckdb.Error, match="13 is damaged"):
            connection.sql("SELECT double(13)").fetchall()
    assert isinstance(problems.first, CorruptData) and problems.first.fix == "Run: pd verify"
