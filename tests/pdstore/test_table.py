from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore import Column, Ragged, Rows, Table
from tests.pdstore.example import PARTS, assert_equal, parts

ONE = Table("one", "One column.", (Column("x", "int32", "a number"),))
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "image_id": st.integers(-(2**63), 2**63 - 1),
            "part": st.integers(-(2**31), 2**31 - 1),
            "score": st.floats(width=32),
            "area_ratio": st.floats(),
            "is_good": st.booleans(),
            "name": st.text(),
            "feature": st.lists(st.floats(width=16, allow_nan=False), min_size=3, max_size=3),
            "rle": st.binary(max_size=6),
        }
    ),
    max_size=5,
)


@given(RECORDS)
def test_records_become_columns(records: list[dict[str, Any]]) -> None:
    """Every value is in its column and row, in the declared dtype."""
    rows = Rows.from_records(PARTS, records)
    assert len(rows) == len(records)
    for i, record in enumerate(records):
        assert rows.ragged("rle")[i] == record["rle"]
        for name in ("image_id", "part", "is_good", "name"):
            assert rows[name][i] == record[name]
        np.testing.assert_array_equal(rows["score"][i], np.float32(record["score"]))
        np.testing.assert_array_equal(rows["feature"][i], np.float16(record["feature"]))
    for column in PARTS.columns:
        if column.layout != "ragged" and column.dtype != "string":
            assert rows[column.name].dtype == column.dtype


@given(RECORDS)
def test_arrow_holds_the_scalars(records: list[dict[str, Any]]) -> None:
    """The Arrow table has the declared schema, without vectors and ragged columns."""
    frame = Rows.from_records(PARTS, records).to_arrow()
    assert frame.schema == PARTS.arrow_schema
    assert frame.column_names == ["image_id", "part", "score", "area_ratio", "is_good", "name"]
    assert frame.column("name").to_pylist() == [record["name"] for record in records]


@given(st.lists(st.integers(0, 4), max_size=4))
def test_concat_and_take_undo_each_other(counts: list[int]) -> None:
    """Rows of several blocks, joined and taken apart again, are the same rows."""
    pieces = [parts(count, seed=i) for i, count in enumerate(counts)]
    joined = Rows.concat(PARTS, pieces)
    start = 0
    for piece in pieces:
        assert_equal(joined.take(np.arange(start, start + len(piece))), piece) if len(piece) else None
        start += len(piece)
    assert len(joined) == start


@given(st.lists(st.integers(-3, 3), max_size=20))
def test_by_groups_the_row_numbers(values: list[int]) -> None:
    """Every row number appears once, under its value, in order."""
    groups = Rows(ONE, {"x": values}).by("x")
    assert {key: rows.tolist() for key, rows in groups.items()} == {
        key: [i for i, value in enumerate(values) if value == key] for key in set(values)
    }


@given(st.lists(st.integers(-3, 3), max_size=20).map(sorted))
def test_spans_are_the_groups_as_slices(values: list[int]) -> None:
    """Of rows that rise by the column, each value has the slice of its rows."""
    rows = Rows(ONE, {"x": values})
    spans = rows.spans("x")
    assert {key: list(range(span.start, span.stop)) for key, span in spans.items()} == {
        key: index.tolist() for key, index in rows.by("x").items()
    }


def test_spans_need_rows_that_rise() -> None:
    """The message says what to do; the ends of the range of integers are values like others."""
    with pytest.raises(ValueError, match=r"must rise by x; sort them with \.sorted\('x'\)"):
        Rows(ONE, {"x": [1, 0]}).spans("x")
    assert Rows(ONE, {"x": [-(2**31), 2**31 - 1]}).spans("x") == {-(2**31): slice(0, 1), 2**31 - 1: slice(1, 2)}


@given(st.integers(0, 6), st.integers(-7, 7), st.integers(-7, 7))
def test_a_slice_of_rows_is_those_rows(count: int, start: int, stop: int) -> None:
    """Every column is cut at the same rows, without a copy."""
    rows = parts(count, 1)
    part = rows.take(slice(start, stop))
    assert_equal(part, rows.take(np.arange(count)[start:stop]))
    if len(part):
        assert np.shares_memory(part["score"], rows["score"])
        assert np.shares_memory(part.ragged("rle").data, rows.ragged("rle").data)


def test_a_declaration_survives_its_record() -> None:
    """``from_dict`` undoes ``to_dict``, which is JSON."""
    assert Table.from_dict(PARTS.to_dict()) == PARTS
    assert PARTS.names[0] == "image_id"


def test_an_unknown_scalar_type_is_refused() -> None:
    """The message lists the known types."""
    with pytest.raises(ValueError, match="float32.*got uint8"):
        Column("x", "uint8", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": [1]}, "unknown columns"),
        ({"part": [1]}, "different lengths"),
        ({"part": [0.5, 1.5]}, "must be int32"),
        ({"part": [2**40, 0]}, "must fit int32"),
        ({"image_id": np.array([2**63, 0], np.uint64)}, "must fit int64"),
        ({"part": [[1], [2]]}, "must have 1 dimensions"),
        ({"feature": [1.0, 2.0]}, "must have 2 dimensions"),
        ({"score": ["a", "b"]}, "must be float32"),
        ({"is_good": [1, 0]}, "must be bool"),
        ({"name": [1, None]}, "must be strings"),
        ({"rle": [b"a", b"b"]}, "must be a Ragged"),
    ],
)
def test_wrong_columns_are_refused(change: dict[str, Any], message: str) -> None:
    """Rows are valid once constructed: names, lengths, types, ranges and dimensions are checked."""
    with pytest.raises(ValueError, match=message):
        Rows(PARTS, {**parts(2).columns, **change})


def test_a_missing_column_is_refused_unless_rows_are_partial() -> None:
    """A read of some columns returns partial rows."""
    with pytest.raises(ValueError, match="missing"):
        Rows(PARTS, {"part": [1]})
    assert len(Rows(PARTS, {"part": [1]}, partial=True)) == 1


def test_each_layout_has_its_reader() -> None:
    """Brackets read arrays and ``ragged`` reads ragged columns; the other way round is a TypeError."""
    rows = parts(2)
    assert isinstance(rows.ragged("rle"), Ragged)
    with pytest.raises(TypeError, match="read it with"):
        rows["rle"]
    with pytest.raises(TypeError, match="not ragged"):
        rows.ragged("part")


def test_no_rows_are_rows_too() -> None:
    """Without rows every column still has its dtype, however the empty table was made."""
    for rows in (Rows.empty(PARTS), Rows.from_records(PARTS, []), Rows.concat(PARTS, [])):
        assert len(rows) == 0
        assert rows["part"].dtype == np.int32
        assert rows.to_arrow().schema == PARTS.arrow_schema
    assert isinstance(PARTS.arrow_schema, pa.Schema)


@given(st.integers(0, 5), st.integers(-3, 3), st.text(max_size=3))
def test_filled_gives_all_rows_the_single_value(length: int, number: int, text: str) -> None:
    """A scalar column may be one value for all rows; the rows are those of the columns written out."""
    columns = parts(length).columns
    filled = Rows.filled(PARTS, length, {**columns, "part": number, "name": text, "is_good": True, "score": 0.5})
    spread = {"part": [number] * length, "name": [text] * length, "is_good": [True] * length, "score": [0.5] * length}
    assert len(filled) == length
    assert_equal(filled, Rows(PARTS, {**columns, **spread}))


def test_filled_checks_as_the_constructor_does() -> None:
    """A single value of the wrong kind, a missing column, or a list of another length is refused."""
    columns = parts(2).columns
    for change, message in (
        ({"part": 0.5}, "must be int32"),
        ({"name": 1}, "must be strings"),
        ({"part": [1]}, "length"),
    ):
        with pytest.raises(ValueError, match=message):
            Rows.filled(PARTS, 2, {**columns, **change})
    with pytest.raises(ValueError, match="missing"):
        Rows.filled(PARTS, 2, {"part": 1})
    with pytest.raises(ValueError, match="must have 2 dimensions"):
        Rows.filled(PARTS, 2, {**columns, "feature": 0.5})


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2)), max_size=12))
def test_sorted_rows_rise_by_the_first_column_then_the_next(keys: list[tuple[int, int]]) -> None:
    """Rows of equal keys keep their order, and every row keeps its values."""
    columns = parts(len(keys)).columns
    numbered = {
        "image_id": [a for a, _ in keys],
        "part": [b for _, b in keys],
        "area_ratio": list(map(float, range(len(keys)))),
    }
    rows = Rows(PARTS, {**columns, **numbered})
    order = sorted(range(len(keys)), key=lambda row: keys[row])
    assert_equal(rows.sorted("image_id", "part"), rows.take(np.array(order, int)))
    assert rows.sorted("part")["area_ratio"].tolist() == sorted(range(len(keys)), key=lambda row: keys[row][1])
