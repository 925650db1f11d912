from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdstore.arrays import chunks
from pdstore.arrays.chunks import ArrayInfo, encode
from pdstore.arrays.ranges import RangeReader
from pdstore.files import Files

SPANS = st.lists(st.tuples(st.integers(0, 700), st.integers(0, 80)), max_size=4)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 64)
    monkeypatch.setattr(chunks, "SHARD_BYTES", 256)


class Counting(Files):
    """Files that count the bytes that are read by ranges."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.read_bytes = self.calls = 0

    def read_ranges(self, ranges):  # type: ignore[no-untyped-def]
        found = super().read_ranges(ranges)
        self.calls += bool(ranges)
        self.read_bytes += sum(map(len, found))
        return found


def in_folder(file: str) -> tuple[str, int]:
    return f"group/{file}", 0


def stored(folder: Path, *arrays: np.ndarray) -> tuple[Counting, list[ArrayInfo], Mapping[str, int]]:
    files, infos, sizes = Counting(str(folder)), [], {}
    for number, array in enumerate(arrays):
        info, contents = encode(f"a{number}", array)
        infos.append(info)
        for name, data in contents.items():
            files.write(f"group/{name}", data)
            sizes[name] = len(data)
    return files, infos, sizes


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(length=st.sampled_from([0, 1, 30, 64, 65, 300, 700]), spans=SPANS)
def test_spans_are_those_of_the_array(tmp_path: Path, length: int, spans: list[tuple[int, int]]) -> None:
    """Of bytes and of vectors, whether the array is one file, several, or shards, and whatever the spans."""
    rng = np.random.default_rng(length)
    arrays = rng.integers(0, 99, length).astype(np.uint8), rng.random((length, 3)).astype(np.float16)
    rising, end = [], 0
    for gap, count in spans:
        start = min(end + gap % 90, length)
        end = min(start + count, length)
        rising.append((start, end))
    files, infos, sizes = stored(tmp_path, *arrays)
    found = RangeReader(files, in_folder, sizes).read([(info, rising) for info in infos])
    for array, rows in zip(arrays, found, strict=True):
        expected = np.concatenate([array[:0], *(array[start:stop] for start, stop in rising)])
        assert (rows.shape, rows.dtype) == (expected.shape, expected.dtype)
        assert np.array_equal(rows, expected)


def test_only_the_chunks_of_the_rows_are_read(tmp_path: Path) -> None:
    """One chunk and the index of its shard the first time; later, the index is known."""
    array = np.random.default_rng(0).integers(0, 256, 10_000).astype(np.uint8)
    files, (info,), sizes = stored(tmp_path, array)
    reader = RangeReader(files, in_folder, sizes)
    reader.read([(info, [(1000, 1010)])])
    first = files.read_bytes
    assert (files.calls, first < 64 + 40 + info.index_bytes) == (2, True)
    reader.read([(info, [(1010, 1020), (1021, 1022)])])
    assert files.calls == 3
    assert files.read_bytes - first == first - info.index_bytes


def test_damage_is_noticed_where_it_is_read(tmp_path: Path) -> None:
    """A changed byte of a chunk or of the index, a file that is cut off, and one that is gone."""
    array = np.random.default_rng(0).integers(0, 256, 200).astype(np.uint8)
    files, (info,), sizes = stored(tmp_path, array)
    data = files.read("group/a0/c/0")

    def read(start: int) -> int:
        (rows,) = RangeReader(files, in_folder, sizes).read([(info, [(start, start + 1)])])
        return int(rows[0])

    for place, value in ((3, 5), (len(data) - 6, 5)):
        files.write("group/a0/c/0", data[:place] + bytes([data[place] ^ value]) + data[place + 1 :])
        with pytest.raises(ValueError, match="damaged"):
            read(0)
    files.write("group/a0/c/0", data[:3] + bytes([data[3] ^ 1]) + data[4:])
    assert read(64) == array[64]
    files.write("group/a0/c/0", data[:-1])
    with pytest.raises(ValueError, match="cut off"):
        read(0)
    files.remove("group/a0/c/0")
    with pytest.raises(FileNotFoundError):
        read(0)
    with pytest.raises(KeyError):
        RangeReader(files, in_folder, {}).read([(info, [(0, 1)])])
