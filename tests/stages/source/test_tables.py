from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdstore.errors import UsageError
from stages.source.tables import read_table

ROWS = {"key": ["a.jpg", "b, c.jpg"], "wanted": [1, 0]}


def test_the_formats_give_the_same_rows(tmp_path: Path) -> None:
    """CSV with quotes, tab-separated text and Parquet, by the file's name in either case."""
    (tmp_path / "t.CSV").write_text('key,wanted\na.jpg,1\n"b, c.jpg",0\n')
    (tmp_path / "t.tsv").write_text("key\twanted\na.jpg\t1\nb, c.jpg\t0\n")
    pq.write_table(pa.table(ROWS), tmp_path / "t.parquet")
    assert [read_table(path).to_pydict() for path in sorted(tmp_path.iterdir())] == [ROWS] * 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "there is no such file"),
        ("t.xlsx", b"PK", r"expected a .csv, .tsv or .parquet file, found t.xlsx"),
        ("t.parquet", b"key,wanted\n", "not a readable parquet table"),
        ("t.csv", b"a,b\n1,2\n3\n", "not a readable csv table: .*Expected 2 columns, got 1"),
        ("t.csv", b"", "not a readable csv table"),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    """One error that names the file and what is wrong with it."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_table(tmp_path / name)
