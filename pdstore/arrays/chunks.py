"""Arrays as Zarr v3 stores them, written and read without Zarr, for the codecs that this store uses.

An array is cut along its first axis into chunks of rows. A chunk is its bytes (little-endian), compressed with
Zstandard, with a crc32c at the end. A short array is one file. A longer one has its chunks in shards: a shard is one
file of chunks, and ends in an index of where each chunk begins and how long it is, with a crc32c of its own. So a few
rows can be read by ranges of a file, and what is read is checked.

Zarr writes and reads the same files. It is not used here because its event loop and its pipeline of codecs take several
times as long as the bytes of a block of masks.

Source: the Zarr v3 core specification, and its codecs ``bytes``, ``zstd``, ``crc32c`` and ``sharding_indexed``.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
from numcodecs.zstd import Zstd, decompress

from pdstore.arrays.claims import check_claim, content_bytes

__all__ = ["CRC_BYTES", "ArrayInfo", "Piece", "encode", "encode_whole", "group_files", "read_array", "stored_arrays"]

CHUNK_BYTES = 256 << 10
"""Most bytes of a chunk before compression, unless one row is larger: what is decoded to read one row."""
SHARD_BYTES = 4 << 20
"""Most bytes of a shard before compression: what is read in one request when all rows are wanted."""
LEVEL, SHARD_LEVEL = 3, 2
"""Of compression. In chunks of this size, run lengths take as many bytes at level 2 and a fifth less time."""
CRC_BYTES = 4
"""The crc32c behind what it is of."""
_ENTRY_BYTES = 16
_ABSENT = 2**64 - 1
"""Start and length of a chunk that lies behind the end of the array."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Piece:
    """Where a chunk is: in which file, as which entry of its index; -1 if it is the whole file."""

    file: str
    entry: int


@dataclass(frozen=True)
class ArrayInfo:
    """How an array is stored.

    Attributes:
        dtype: of its values, little-endian.
        chunk: rows of a chunk. Every chunk holds as many; the last one is filled up with zeros.
        shard: chunks in a shard; 0 if each chunk is a file.
        is_compressed: with Zstandard. A chunk that is not can be read in part, without its crc32c.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: int
    shard: int
    is_compressed: bool = True

    @classmethod
    def of(cls, name: str, metadata: Mapping[str, Any]) -> ArrayInfo | None:
        """From the metadata of an array; None if :func:`encode` and :func:`encode_whole` store it in another way."""
        try:
            shape, dtype = tuple(metadata["shape"]), np.dtype(metadata["data_type"]).newbyteorder("<")
            outer, shard = metadata["chunk_grid"]["configuration"]["chunk_shape"], 0
            first = metadata["codecs"][0]
            is_compressed = len(metadata["codecs"]) != 2
            chunk: int = outer[0]
            if first["name"] == "sharding_indexed":
                chunk = first["configuration"]["chunk_shape"][0]
                shard = outer[0] // chunk
            info = cls(name, shape, dtype, chunk, shard, is_compressed)
            return info if chunk > 0 and info.metadata() == dict(metadata) else None
        except (KeyError, TypeError, IndexError, ZeroDivisionError):
            return None

    @classmethod
    def for_array(cls, name: str, array: Array) -> ArrayInfo:
        """How :func:`encode` stores an array."""
        row_bytes = max(1, array.itemsize * int(np.prod(array.shape[1:])))
        chunk, shard = max(1, CHUNK_BYTES // row_bytes), max(1, SHARD_BYTES // row_bytes)
        dtype = array.dtype.newbyteorder("<")
        if len(array) <= chunk or shard < 2 * chunk:
            return cls(name, array.shape, dtype, max(1, min(len(array), chunk)), 0)
        return cls(name, array.shape, dtype, chunk, min(shard // chunk, -(-len(array) // chunk)))

    @property
    def num_chunks(self) -> int:
        return -(-self.shape[0] // self.chunk) if 0 not in self.shape else 0

    @property
    def level(self) -> int:
        """Of compression."""
        return SHARD_LEVEL if self.shard else LEVEL

    @property
    def index_bytes(self) -> int:
        """Length of the index at the end of each shard."""
        return self.shard * _ENTRY_BYTES + CRC_BYTES

    @property
    def files(self) -> list[str]:
        """Names of the files of values, inside the group."""
        return [self.piece(number).file for number in range(0, self.num_chunks, max(1, self.shard))]

    def piece(self, number: int) -> Piece:
        """Where chunk ``number`` is."""
        file, entry = divmod(number, self.shard) if self.shard else (number, -1)
        return Piece(f"{self.name}/c/{'/'.join(map(str, (file, *(0 for _ in self.shape[1:]))))}", entry)

    def metadata(self) -> dict[str, Any]:
        """What Zarr has in the array's ``zarr.json``."""
        inner = [self.chunk, *(max(1, n) for n in self.shape[1:])]
        plain: dict[str, Any] = {"name": "bytes"}
        if self.dtype.itemsize > 1:
            plain["configuration"] = {"endian": "little"}
        zstd = {"name": "zstd", "configuration": {"level": self.level, "checksum": False}}
        codecs = [plain, *([zstd] if self.is_compressed else []), {"name": "crc32c"}]
        if self.shard:
            index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
            sharding = {"chunk_shape": inner, "codecs": codecs, "index_codecs": index, "index_location": "end"}
            codecs = [{"name": "sharding_indexed", "configuration": sharding}]
        outer = [self.chunk * max(1, self.shard), *inner[1:]]
        return {
            "shape": list(self.shape),
            "data_type": self.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": outer}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": False if self.dtype.kind == "b" else 0.0 if self.dtype.kind == "f" else 0,
            "codecs": codecs,
            "attributes": {},
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }

    def decode(self, data: bytes) -> Array:
        """A chunk, (chunk, …) rows, from its bytes. Raises ValueError or RuntimeError if they are damaged."""
        packed, shape = _checked(data, self.name), (self.chunk, *self.shape[1:])
        expected = math.prod(shape) * self.dtype.itemsize
        # Asked before: a few bytes can decompress to any number of them.
        held = content_bytes(packed) if self.is_compressed else len(packed)
        if held != expected:
            raise ValueError(f"a chunk of {self.name} holds {held} bytes instead of {expected}")
        check_claim(self.name, expected, len(packed))
        return np.frombuffer(decompress(packed) if self.is_compressed else packed, self.dtype).reshape(shape)

    def ranges(self, index: bytes) -> list[tuple[int, int]]:
        """Start and end of each chunk in its shard, from the bytes of the index; of one that is not there, 0 and 0.

        Raises:
            ValueError: the index is damaged.
        """
        if len(index) != self.index_bytes:
            raise ValueError(f"the index of a shard of {self.name} is cut off")
        entries = np.frombuffer(_checked(index, self.name), "<u8").reshape(-1, 2).tolist()
        return [(0, 0) if start == _ABSENT else (start, start + length) for start, length in entries]


def encode(name: str, array: Array) -> tuple[ArrayInfo, dict[str, bytes]]:
    """How an array is stored, and its files: name inside the group -> content. Equal arrays give equal bytes."""
    info = ArrayInfo.for_array(name, array)
    codec = Zstd(level=info.level)
    values = np.ascontiguousarray(array, info.dtype)
    chunks: dict[str, list[bytes]] = {}
    for number in range(info.num_chunks):
        rows = values[number * info.chunk : (number + 1) * info.chunk]
        if len(rows) < info.chunk:
            rows = np.concatenate([rows, np.zeros((info.chunk - len(rows), *rows.shape[1:]), info.dtype)])
        chunks.setdefault(info.piece(number).file, []).append(_with_crc(codec.encode(rows)))
    files = {file: _shard(parts, info.shard) if info.shard else parts[0] for file, parts in chunks.items()}
    return info, files


def encode_whole(name: str, array: Array) -> tuple[ArrayInfo, dict[str, bytes]]:
    """As :func:`encode`, in a single chunk that is not compressed: row i begins at byte i times the length of a row."""
    info = ArrayInfo(name, array.shape, array.dtype.newbyteorder("<"), max(1, len(array)), 0, is_compressed=False)
    values = np.ascontiguousarray(array, info.dtype)
    return info, {file: _with_crc(values.tobytes()) for file in info.files}


def group_files(arrays: Iterable[tuple[ArrayInfo, Mapping[str, bytes]]]) -> dict[str, bytes]:
    """The files of a group of encoded arrays: name inside the group -> content.

    The group's metadata hold those of all arrays, so that one read gives them.
    """
    files: dict[str, bytes] = {}
    metadata = {}
    for info, values in sorted(arrays, key=lambda encoded: encoded[0].name):
        metadata[info.name] = info.metadata()
        files |= {f"{info.name}/zarr.json": _json(metadata[info.name]), **values}
    consolidated = {"kind": "inline", "must_understand": False, "metadata": metadata}
    group = {"attributes": {}, "zarr_format": 3, "consolidated_metadata": consolidated, "node_type": "group"}
    return {**files, "zarr.json": _json(group)}


def stored_arrays(group: bytes, names: Iterable[str]) -> dict[str, ArrayInfo] | None:
    """How the arrays ``names`` are stored, from the ``zarr.json`` of their group, which holds the metadata of all.

    None if one of them is stored in another way than here, or the metadata are not there.
    """
    try:
        metadata = json.loads(group)["consolidated_metadata"]["metadata"]
        found = {name: ArrayInfo.of(name, metadata[name]) for name in names}
    except (ValueError, KeyError, TypeError):
        return None
    known = {name: info for name, info in found.items() if info is not None}
    return known if len(known) == len(found) else None


def read_array(info: ArrayInfo, files: Mapping[str, bytes]) -> Array:
    """The whole array from its files: name inside the group -> content.

    Raises:
        KeyError: a file is missing.
        ValueError, RuntimeError: a chunk is damaged.
    """
    check_claim(info.name, math.prod(info.shape) * info.dtype.itemsize, sum(map(len, files.values())))
    # Metadata can claim any number of files, so no more are looked for than there are.
    for number in range(0, info.num_chunks, max(1, info.shard))[: len(files) + 1]:
        if (file := info.piece(number).file) not in files:
            raise KeyError(f"no chunk {file}")
    ranges = {file: info.ranges(files[file][-info.index_bytes :]) for file in info.files} if info.shard else {}
    # Chunks are decoded one by one into their place, so that the memory of one stays in the cache and is used again.
    values = np.zeros(info.shape, info.dtype)
    for number in range(info.num_chunks):
        piece, rows = info.piece(number), values[number * info.chunk : (number + 1) * info.chunk]
        data = files[piece.file]
        start, end = ranges[piece.file][piece.entry] if info.shard else (0, len(data))
        rows[...] = info.decode(data[start:end])[: len(rows)]
    return values


def _shard(chunks: list[bytes], size: int) -> bytes:
    """A shard of ``size`` chunks, of which those behind the end of the array are left out."""
    entries, start = [], 0
    for chunk in chunks:
        entries += [start, len(chunk)]
        start += len(chunk)
    entries += [_ABSENT, _ABSENT] * (size - len(chunks))
    return b"".join([*chunks, _with_crc(struct.pack(f"<{len(entries)}Q", *entries))])


def _json(metadata: Mapping[str, Any]) -> bytes:
    return json.dumps(metadata, indent=2).encode()


def _with_crc(data: bytes) -> bytes:
    return data + struct.pack("<I", google_crc32c.value(data))


def _checked(data: bytes, name: str) -> bytes:
    """The bytes before the crc32c at the end. Raises ValueError if it is not theirs."""
    body, crc = data[:-CRC_BYTES], data[-CRC_BYTES:]
    if len(data) < CRC_BYTES or struct.unpack("<I", crc)[0] != google_crc32c.value(body):
        raise ValueError(f"a chunk of {name} is damaged: its crc32c is another one")
    return body
