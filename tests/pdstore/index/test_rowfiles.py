from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdstore.files import Files
from pdstore.index import rowfiles
from pdstore.index.rowfiles import UNIT, GatheredRows, write_rows
from tests.pdstore.conftest import Place
from tests.pdstore.example import parts


@pytest.mark.parametrize("group", [1, 3, 7, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_units_come_back_as_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int, seed: int
) -> None:
    """Any unit, alone or in order, also an empty one, however the rows are cut into row groups."""
    monkeypatch.setattr(rowfiles, "ROWS_PER_GROUP", group)
    rng, files = np.random.default_rng(seed), Files(str(tmp_path))
    counts = rng.integers(0, 9, 12).tolist()
    units = sorted(rng.choice(100, len(counts), replace=False).tolist())
    written = {unit: parts(count, seed=unit).to_arrow() for unit, count in zip(units, counts, strict=True)}
    made = write_rows(files, "x/rows.parquet", written.items())
    if not sum(counts):
        assert made is None
        return
    assert made is not None and made.problem_anywhere(files) == ""
    with files.open(made.path) as file:
        gathered = GatheredRows(file, units, counts)
        for unit in [*units, *rng.permutation(units).tolist()]:
            assert gathered.of(unit).equals(written[unit])
    frame = pq.read_table(tmp_path / made.path)
    assert frame.column(UNIT).to_pylist() == [u for u, count in zip(units, counts, strict=True) for _ in range(count)]
    sizes = [
        pq.ParquetFile(tmp_path / made.path).metadata.row_group(i).num_rows for i in range(-(-sum(counts) // group))
    ]
    assert sizes[:-1] == [group] * (len(sizes) - 1) and sum(sizes) == sum(counts)


def test_nothing_is_no_file(tmp_path: Path) -> None:
    """Without rows there is no file, and no folder either."""
    assert write_rows(Files(str(tmp_path)), "x/rows.parquet", [(0, parts(0).to_arrow())]) is None
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_no_file(place: Place) -> None:
    """Rows that cannot be read on the way, wherever the store is: what was written is removed."""
    files = Files(place.url, **place.options)

    def failing() -> Iterator[tuple[int, pa.Table]]:
        yield 0, parts(rowfiles.ROWS_PER_GROUP // 1000, seed=1).to_arrow()
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_rows(files, "x/rows.parquet", failing())
    assert files.names("x") == [] and files.leftovers("x") == []
