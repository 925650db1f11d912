from __future__ import annotations

import numpy as np
import pytest
import zarr

from pdstore import Column, Rows, Table
from pdstore.blockfile import files_of_columns, is_chunk, pack, unpack
from pdstore.ragged import Ragged
from pdstore.slices.index import INDEX
from pdstore.slices.packing import chunk_file, index_and_group
from tests.pdstore.slices.example import VOTES, sliced_layer, votes


def test_the_vectors_are_bytes_of_one_file() -> None:
    """Row i begins at byte i times the length of a vector; equal rows give equal files; other tables have no index."""
    rows = votes(np.repeat(np.arange(40), 50))
    files = pack(rows)
    assert files[f"data.zarr/{chunk_file('vector')}"][:-4] == rows["vector"].tobytes()
    assert INDEX in files and files == pack(rows)
    plain = Table("plain", "The same, not sliced.", VOTES.columns)
    assert INDEX not in pack(Rows(plain, rows.columns))


@pytest.mark.parametrize("count", [0, 1, 30])
@pytest.mark.parametrize("width", [0, 1, 5])
def test_rows_come_back(count: int, width: int) -> None:
    """What is packed is unpacked like the rows of any table, also without rows and with vectors of no length."""
    rows = votes(np.sort(np.random.default_rng(0).integers(0, 9, count)), width=width)
    files = pack(rows)
    back = unpack(VOTES, VOTES.names, {name: files[name] for name in files_of_columns(VOTES, VOTES.names, files)})
    assert {n: (v.dtype, v.shape, v.tobytes()) for n, v in rows.columns.items()} == {
        n: (v.dtype, v.shape, v.tobytes()) for n, v in back.columns.items()
    }


def test_zarr_reads_the_vectors(tmp_path) -> None:
    """They are an array of an ordinary Zarr group, whose crc32c Zarr checks."""
    rows = votes([1, 1, 2])
    sliced_layer(str(tmp_path), [rows])
    (group,) = tmp_path.glob("layers/votes/*/blocks/*/data.zarr")
    assert np.array_equal(zarr.open_group(group, mode="r", zarr_format=3)["vector"][:], rows["vector"])
    chunk = group / chunk_file("vector")
    data = bytearray(chunk.read_bytes())
    data[3] ^= 1
    chunk.write_bytes(data)
    assert is_chunk(f"data.zarr/{chunk_file('vector')}")
    with pytest.raises(ValueError, match="checksum"):
        zarr.open_group(group, mode="r", zarr_format=3)["vector"][:]


def test_byte_strings_cannot_be_sliced() -> None:
    """A ragged column would need a place of its own for each value, so a table with one is refused."""
    table = Table("masks", "", (*VOTES.columns, Column("rle", "uint8", "mask", "ragged")), sliced_by="group")
    rows = Rows(table, {**votes([1]).columns, "rle": Ragged.from_list([b"a"])})
    with pytest.raises(ValueError, match=r"masks\.rle: a table that is sliced has no ragged columns"):
        index_and_group(rows)
