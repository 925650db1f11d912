from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from pdstore.arrays import chunks
from pdstore.arrays.chunks import ArrayInfo, encode, read_array, stored_arrays

SHAPES = [(0,), (1,), (64,), (65,), (700,), (40, 5), (3, 0), (0, 0), (100, 1), (3, 20), (7, 300), (33, 2, 3)]
DTYPES = ["uint8", "uint64", "float16", "float64", "int32", "bool"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 64)
    monkeypatch.setattr(chunks, "SHARD_BYTES", 256)


def drawn(shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
    return (np.random.default_rng(0).random(shape) * 200).astype(dtype)


def by_zarr(array: npt.NDArray[Any], info: ArrayInfo) -> dict[str, bytes]:
    """The files that Zarr writes for the same chunks and shards."""
    memory: dict[str, Any] = {}
    inner = (info.chunk, *(max(1, n) for n in array.shape[1:]))
    zarr.open_group(MemoryStore(memory), mode="w", zarr_format=3).create_array(
        "x",
        data=array,
        chunks=inner,
        shards=(info.chunk * info.shard, *inner[1:]) if info.shard else None,
        compressors=[ZstdCodec(level=2 if info.shard else 3), Crc32cCodec()],
        filters=None,
        config={"write_empty_chunks": True},
    )
    return {name: buffer.to_bytes() for name, buffer in memory.items() if name != "zarr.json"}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_files_are_those_of_zarr(shape: tuple[int, ...], dtype: str) -> None:
    """Metadata and chunks are what Zarr writes, byte for byte, with and without shards; both read the same."""
    array = drawn(shape, dtype)
    info, files = encode("x", array)
    assert {"x/zarr.json": json.dumps(info.metadata(), indent=2).encode(), **files} == by_zarr(array, info)
    assert ArrayInfo.of("x", json.loads(json.dumps(info.metadata()))) == info
    found = read_array(info, files)
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    assert found.flags.writeable and np.array_equal(found, array)


@given(st.integers(0, 900), st.sampled_from(["uint8", "float32"]))
def test_an_array_of_any_length_comes_back(length: int, dtype: str) -> None:
    """At the borders of chunks and of shards, too."""
    array = drawn((length,), dtype)
    info, files = encode("x", array)
    assert sorted(files) == sorted(info.files)
    assert len(files) == -(-array.nbytes // 256)
    assert np.array_equal(read_array(info, files), array)


def test_order_in_memory_does_not_matter() -> None:
    """A transposed, strided or big-endian array is stored as its values."""
    array = drawn((12, 10), "float32")
    for values in (np.asfortranarray(array), np.repeat(array, 2, 0)[::2], array.astype(">f4")):
        assert encode("x", values) == encode("x", array)


def group_of(**metadata: object) -> bytes:
    return json.dumps({"consolidated_metadata": {"metadata": metadata}}).encode()


def test_metadata_of_a_group_say_how_arrays_are_stored() -> None:
    """Each array by its name, if all of them are stored in this way."""
    a, b = (encode(name, drawn((90,), "uint8"))[0] for name in "ab")
    assert stored_arrays(group_of(a=a.metadata(), b=b.metadata()), "ab") == {"a": a, "b": b}
    assert stored_arrays(group_of(a=a.metadata()), "ab") is None


def changed(metadata: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    copy = json.loads(json.dumps(metadata))
    *parents, last = path.split(".")
    place = copy
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    place[last] = value
    return dict(copy)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("codecs", [{"name": "bytes"}]),
        ("codecs", []),
        ("fill_value", 1),
        ("data_type", "string"),
        ("data_type", "complex64"),
        ("chunk_key_encoding.configuration.separator", "."),
        ("chunk_grid.configuration.chunk_shape", [64, 1]),
        ("chunk_grid.configuration.chunk_shape", [0]),
        ("chunk_grid.name", "rectilinear"),
        ("storage_transformers", [{"name": "other"}]),
        ("zarr_format", 2),
    ],
)
def test_any_other_way_of_storing_is_left_to_zarr(path: str, value: object) -> None:
    """Only metadata that are equal in every point are taken for one's own."""
    for length in (10, 90):
        info = encode("a", drawn((length,), "uint8"))[0]
        assert stored_arrays(group_of(a=changed(info.metadata(), path, value)), ["a"]) is None


@pytest.mark.parametrize("group", [b"", b"[]", b"{}", b'{"consolidated_metadata": null}', b"\xff"])
def test_a_group_without_metadata_of_arrays_is_left_to_zarr(group: bytes) -> None:
    """Nothing is guessed."""
    assert stored_arrays(group, ["a"]) is None


@pytest.mark.parametrize("length", [30, 700])
def test_every_changed_byte_is_noticed(length: int) -> None:
    """In a chunk, in its checksum and in the index of a shard."""
    info, files = encode("x", drawn((length,), "uint8"))
    for file, data in files.items():
        for place in range(0, len(data), 3):
            damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            with pytest.raises(ValueError, match="damaged"):
                read_array(info, {**files, file: damaged})
        for cut in (data[:-1], data[: len(data) // 2], b""):
            with pytest.raises(ValueError, match=r"damaged|cut off"):
                read_array(info, {**files, file: cut})


def test_a_missing_file_is_not_read_as_zeros() -> None:
    """The error names the file."""
    info, files = encode("x", drawn((700,), "uint8"))
    with pytest.raises(KeyError, match="no chunk x/c/1"):
        read_array(info, {name: data for name, data in files.items() if name != "x/c/1"})


def test_a_chunk_that_a_shard_leaves_out_is_not_read_as_zeros() -> None:
    """Zarr leaves out chunks of zeros unless it is told not to; this store never does."""
    long, (short, files) = encode("x", drawn((256,), "uint8"))[0], encode("x", drawn((200,), "uint8"))
    assert (long.chunk, long.shard) == (short.chunk, short.shard) == (64, 4)
    with pytest.raises(ValueError, match="damaged"):
        read_array(long, {"x/c/0": encode("x", drawn((65,), "uint8"))[1]["x/c/0"]})
    assert np.array_equal(read_array(short, files), drawn((200,), "uint8"))


def test_a_chunk_of_another_length_is_refused() -> None:
    """Its checksum holds, but it has not the rows that the metadata promise."""
    (info, _), files = encode("x", drawn((40,), "uint8")), encode("x", drawn((30,), "uint8"))[1]
    with pytest.raises(ValueError, match="30 bytes instead of 40"):
        read_array(info, files)


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (300, 5), (7, 0)])
def test_an_array_in_one_plain_chunk_is_read_without_zarr(shape: tuple[int, int]) -> None:
    """Its bytes are the rows one after the other; it comes back from the group's files, and damage is seen."""
    array = np.random.default_rng(0).random(shape).astype(np.float16)
    info, values = chunks.encode_whole("vector", array)
    files = chunks.group_files([(info, values)])
    stored = chunks.stored_arrays(files["zarr.json"], ["vector"])
    assert stored == {"vector": info} and not info.is_compressed
    assert chunks.read_array(info, files).tobytes() == array.tobytes()
    assert len(values) == (array.size > 0)
    for file, data in values.items():
        assert data[: -chunks.CRC_BYTES] == array.tobytes()
        with pytest.raises(ValueError, match="crc32c"):
            chunks.read_array(info, {**files, file: bytes([data[0] ^ 1]) + data[1:]})
