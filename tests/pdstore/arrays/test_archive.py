from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import ZipStore

from pdstore.arrays.archive import archived, in_group, joined, starts
from pdstore.arrays.chunks import encode, group_files

NAMES = st.text("abcé/_.", min_size=1, max_size=9).map(lambda name: f"data.zarr/{name}")


@given(st.dictionaries(NAMES, st.binary(max_size=300), max_size=6))
def test_each_file_lies_where_its_size_and_those_before_it_say(files: dict[str, bytes]) -> None:
    """Also one without bytes, and one whose name is not ASCII; files beside the group are not in the archive."""
    data = archived({**files, "rows.parquet": b"rows", "data.zarr2/x": b""})
    found = starts({**{name: len(content) for name, content in files.items()}, "rows.parquet": 4})
    assert list(found) == sorted(files) == in_group([*files, "rows.parquet"])
    assert {name: data[start : start + len(files[name])] for name, start in found.items()} == files
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {f"data.zarr/{name}": archive.read(name) for name in archive.namelist()} == files
    assert archived(dict(reversed(files.items()))) == archived(files)


def test_zarr_opens_it(tmp_path: Path) -> None:
    """As a ZipStore: the group, and each array of it alone."""
    arrays = {"rle": np.arange(70_000, dtype=np.uint8), "feature": np.random.default_rng(0).random((9, 4), np.float32)}
    group = group_files(encode(name, array) for name, array in arrays.items())
    path = tmp_path / "data.zarr.zip"
    path.write_bytes(archived({f"data.zarr/{name}": data for name, data in group.items()}))
    with ZipStore(path, mode="r") as store:
        opened = zarr.open_group(store, mode="r", zarr_format=3)
        for name, array in arrays.items():
            assert np.array_equal(opened[name][:], array)
            assert np.array_equal(zarr.open_array(store, path=name, mode="r", zarr_format=3)[:], array)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        ([(5, 9), (0, 5)], [(0, 9)]),
        ([(0, 9), (2, 3)], [(0, 9)]),
        ([(0, 1), (1 << 20, 1 << 21)], [(0, 1 << 21)]),
        ([(0, 1), (1 << 21, 1 << 22)], [(0, 1), (1 << 21, 1 << 22)]),
    ],
)
def test_spans_that_lie_close_are_read_together(spans: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    """A gap of up to a MiB is read, too; a larger one is not."""
    assert joined(spans) == expected
