from __future__ import annotations

import sys

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from pdstore.errors import UsageError
from stages.notebook.result import SHOWN_COLUMNS, SHOWN_ROWS, Result


def result(count: int = 3) -> Result:
    return Result(
        pa.table(
            {
                "image_id": np.arange(count),
                "key": [f"cats/{n}.jpg" for n in range(count)],
                "rle": pa.array([b"123"] * count, pa.binary()),
                "feature": pa.array([[0.125 * n] * 8 for n in range(count)], pa.list_(pa.float32())),
            }
        )
    )


def test_rows_are_a_sequence_of_dicts() -> None:
    """Numbers, slices, negative ones too, and iteration give the same rows."""
    rows = result(5)
    assert len(rows) == 5 and list(rows) == rows.arrow().to_pylist()
    assert rows[-1] == list(rows)[-1] and rows[0]["key"] == "cats/0.jpg"
    assert rows[1:3] == Result(rows.arrow().slice(1, 2)) and list(rows[::-2]) == list(rows)[::-2]
    with pytest.raises(IndexError):
        rows[5]


def test_a_name_gives_a_column() -> None:
    """As a NumPy array; a wrong name is an error with the nearest one."""
    assert result()["image_id"].tolist() == [0, 1, 2] and np.stack(result()["feature"]).shape == (3, 8)
    with pytest.raises(UsageError, match=r"there is no column 'keys'\. Did you mean 'key'\?"):
        result()["keys"]


def test_it_prints_a_table() -> None:
    """Aligned, with bytes and vectors by their length, and with the number of rows."""
    lines = repr(result(1)).splitlines()
    assert lines[0].split() == ["image_id", "key", "rle", "feature"] and lines[-1] == "1 row, 4 columns"
    assert "<3 bytes>" in lines[1] and "[0, 0, … 8 in all]" in lines[1]
    assert lines[0].index("key") == lines[1].index("cats/0.jpg")


def test_what_is_long_is_cut_and_says_so() -> None:
    """The first rows and columns are printed."""
    assert len(repr(result(1000)).splitlines()) == SHOWN_ROWS + 2
    assert repr(result(1000)).splitlines()[-1] == f"1,000 rows, 4 columns (first {SHOWN_ROWS} rows shown)"
    wide = Result(pa.table({f"c{n}": [n] for n in range(40)}))
    assert repr(wide).splitlines()[-1] == f"1 row, 40 columns (first {SHOWN_COLUMNS} columns shown)"
    assert len(repr(Result(result(20).arrow(), shown=15)).splitlines()) == 17


def test_nothing_of_the_rows_is_html() -> None:
    """Keys come from other people: a notebook shows them, and a terminal does not obey them."""
    rows = Result(pa.table({"<b>": ["<script>alert(1)</script>", "\x1b[31mred"]}))
    html = rows._repr_html_()
    assert "<script" not in html and "&lt;script&gt;" in html and "<th>&lt;b&gt;</th>" in html
    assert "\x1b" not in repr(rows) + html and "2 rows, 1 column" in html


def test_an_empty_result_prints_its_columns() -> None:
    """There is nothing to align."""
    assert repr(result(0)).splitlines() == ["image_id  key  rle  feature", "0 rows, 4 columns"]


def test_readers_of_arrow_take_it() -> None:
    """It offers Arrow's stream, which others read without a copy of ours."""
    assert pa.table(result()).equals(result().arrow())
    with duckdb.connect(":memory:") as connection:
        connection.register("rows", pa.table(result()))
        assert connection.sql("SELECT sum(image_id)::INT FROM rows").fetchall() == [(3,)]


def test_pandas_has_the_rows() -> None:
    """``.df()`` is a frame with the same columns."""
    pytest.importorskip("pandas")
    frame = result().df()
    assert list(frame.columns) == result().columns and frame["image_id"].tolist() == [0, 1, 2]


def test_polars_has_the_rows() -> None:
    """``.pl()`` is a frame with the same columns."""
    pytest.importorskip("polars")
    frame = result().pl()
    assert frame.columns == result().columns and frame["image_id"].to_list() == [0, 1, 2]


@pytest.mark.parametrize(("method", "package"), [("df", "pandas"), ("pl", "polars")])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, method: str, package: str) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"{package} is not installed.*pip install 'pdstore\[notebook\]'"):
        getattr(result(), method)()
