from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.core.buffer.cpu import Buffer
from zarr.storage import MemoryStore

from pdstore import Column, Ragged, Rows, Table
from pdstore.arrays import chunks
from pdstore.blockfile import files_of_columns, is_chunk, pack, unpack
from tests.pdstore.example import PARTS, assert_equal, parts


@given(st.integers(0, 9), st.integers(0, 3))
def test_unpack_undoes_pack(count: int, seed: int) -> None:
    """All columns come back, even if there are no rows."""
    rows = parts(count, seed)
    assert_equal(unpack(PARTS, PARTS.names, pack(rows)), rows)


@given(st.integers(0, 9), st.sets(st.sampled_from(PARTS.names), min_size=1))
def test_some_columns_need_only_their_files(count: int, names: set[str]) -> None:
    """The files that ``files_of_columns`` names are enough, and hold no array of another column."""
    files = pack(parts(count, 1))
    wanted = files_of_columns(PARTS, names, files)
    rows = unpack(PARTS, names, {name: files[name] for name in wanted})
    assert set(rows.columns) == names
    assert len(rows) == count
    assert ("rows.parquet" in wanted) == bool(names - {"rle", "feature"})
    assert any("/rle/" in name for name in wanted if is_chunk(name)) == ("rle" in names and count > 0)


@given(st.integers(0, 9))
def test_equal_rows_give_equal_bytes(count: int) -> None:
    """Packing twice gives the same files, so a digest of them says whether the content is the same."""
    assert pack(parts(count, 2)) == pack(parts(count, 2))


def test_long_arrays_are_cut_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An array above the size of a shard is stored in several files and read as one array."""
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 32)
    monkeypatch.setattr(chunks, "SHARD_BYTES", 64)
    rows = parts(40, 3)
    files = pack(rows)
    assert sum(name.startswith("data.zarr/feature/c/") for name in files) > 3
    assert_equal(unpack(PARTS, PARTS.names, files), rows)


@pytest.mark.parametrize("count", [0, 1, 40])
def test_zarr_opens_what_is_packed(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group and its arrays, with shards and without, by the metadata of the group and by those of each array."""
    rows, files = parts(count, 3), []
    for size in (chunks.CHUNK_BYTES, 32):
        monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
        files.append(pack(rows))
    for packed in files:
        group = {n.removeprefix("data.zarr/"): Buffer.from_bytes(d) for n, d in packed.items() if "zarr/" in n}
        for use_consolidated in (True, False):
            opened = zarr.open_group(MemoryStore(dict(group)), mode="r", use_consolidated=use_consolidated)
            assert sorted(opened.array_keys()) == ["feature", "rle", "rle_offsets"]
            found = Ragged(np.asarray(opened["rle"]), np.asarray(opened["rle_offsets"]))
            assert found == rows.ragged("rle")
            assert np.array_equal(np.asarray(opened["feature"]), rows["feature"])


@pytest.mark.parametrize("size", [32, 1 << 16])
def test_zarr_reads_arrays_that_are_stored_in_another_way(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As :mod:`pdstore.arrays.chunks` reads its own; a file that is missing is not read as zeros."""
    monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
    rows = parts(40, 3)
    files = pack(rows)
    monkeypatch.setattr(chunks.ArrayInfo, "of", classmethod(lambda *_: None))
    assert_equal(unpack(PARTS, PARTS.names, files), rows)
    with pytest.raises(ValueError, match=r"no chunk \(0,\) of rle"):
        unpack(PARTS, PARTS.names, {name: data for name, data in files.items() if name != "data.zarr/rle/c/0"})


def test_a_table_of_scalars_has_one_file() -> None:
    """No Zarr group is written if no column needs one."""
    table = Table("labels", "", (Column("x", "int64", ""),))
    assert list(pack(Rows(table, {"x": [1, 2]}))) == ["rows.parquet"]


def test_empty_strings_and_zero_values_are_kept() -> None:
    """A chunk of zeros is written like any other, so that a missing one is never taken for zeros."""
    table = Table("t", "", (Column("v", "float32", "", "vector"), Column("r", "uint8", "", "ragged")))
    rows = Rows(table, {"v": np.zeros((3, 2)), "r": Ragged.from_list([b"", b"\0", b""])})
    files = pack(rows)
    assert sum(map(is_chunk, files)) == 3
    read = unpack(table, table.names, files)
    assert list(read.ragged("r")) == [b"", b"\0", b""]
    assert read["v"].tolist() == [[0, 0]] * 3
