from __future__ import annotations

import io
import json
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import numcodecs.zstd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pdstore import Layer, Store
from pdstore.commit import commit_attempt
from pdstore.errors import CorruptData
from tests.pdstore.example import new_layer, new_store, parts

Files = dict[str, bytes]
_TERA = 10**12


def _metadata(files: Files, name: str, **changes: object) -> None:
    """Change what the metadata of an array say, in both places."""
    group = json.loads(files["data.zarr/zarr.json"])
    group["consolidated_metadata"]["metadata"][name].update(changes)
    files["data.zarr/zarr.json"] = json.dumps(group).encode()
    files[f"data.zarr/{name}/zarr.json"] = json.dumps(group["consolidated_metadata"]["metadata"][name]).encode()


def _grid(rows: int, *more: int) -> dict[str, object]:
    return {"name": "regular", "configuration": {"chunk_shape": [rows, *more]}}


def _huge_shape(files: Files) -> None:
    _metadata(files, "feature", shape=[_TERA, 5])


def _huge_chunk(files: Files) -> None:
    _metadata(files, "feature", chunk_grid=_grid(_TERA, 5))


def _tiny_chunks(files: Files) -> None:
    _metadata(files, "rle", shape=[1 << 30], chunk_grid=_grid(1))


def _other_codec(files: Files) -> None:
    # Read by Zarr itself, as arrays of earlier releases are.
    _metadata(files, "feature", shape=[_TERA, 5], attributes={"made": "elsewhere"})


def _bomb_in_a_chunk(files: Files) -> None:
    body = numcodecs.zstd.compress(bytes(1 << 30), 1)
    files["data.zarr/feature/c/0/0"] = body + struct.pack("<I", google_crc32c.value(body))


def _offsets(files: Files) -> None:
    ends = np.arange(21, dtype=np.uint64)
    ends[5:] = 1 << 60
    body = numcodecs.zstd.compress(ends.tobytes(), 3)
    files["data.zarr/rle_offsets/c/0"] = body + struct.pack("<I", google_crc32c.value(body))


def _rows_of_one_value(files: Files) -> None:
    schema = pq.read_schema(io.BytesIO(files["rows.parquet"]))
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        empty = pa.table({f.name: pa.nulls(1 << 20, f.type) for f in schema}, schema)
        for _ in range(40):
            writer.write_table(empty)
    files["rows.parquet"] = sink.getvalue()


HOSTILE: list[Callable[[Files], None]] = [
    _huge_shape,
    _huge_chunk,
    _tiny_chunks,
    _other_codec,
    _bomb_in_a_chunk,
    _offsets,
    _rows_of_one_value,
]


def _said(layer: Layer) -> str:
    try:
        layer.read(0)
    except CorruptData as error:
        whole = str(error)
    else:
        whole = "was read"
    try:
        layer.read_images(0, [3, 4], ["image_id", "feature", "rle"])
    except CorruptData as error:
        return f"{whole} | {error}"
    return f"{whole} | was read"


def _read_all(folder: Path) -> None:
    """In a process of its own, which may take 400 MiB more than it has."""
    sound = new_layer(new_store(str(folder / "sound")), k=4)
    manifest = sound.commit(0, parts(20))
    files = {name: sound.store.files.read(f"{manifest.folder}/{name}") for name in manifest.files}
    assert _said(sound) == "was read | was read"
    for change in HOSTILE:
        own = dict(files)
        change(own)
        layer = new_layer(new_store(str(folder / change.__name__)), k=4)
        rows = {"parts": 20}
        commit_attempt(layer.store.files, layer.node, layer.fingerprint, 0, own, rows=rows, inputs={}, started=0.0)
    del own
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20), resource.RLIM_INFINITY))
    for change in HOSTILE:
        print(change.__name__, _said(new_layer(Store(str(folder / change.__name__)), k=4)))


def test_units_that_claim_to_be_huge_are_refused_within_bounded_memory(tmp_path: Path) -> None:
    """Their digests are right: whoever made the store wrote them so. Each is one error that names the unit."""
    script = "import sys, pathlib, tests.pdstore.test_hostile_store as t; t._read_all(pathlib.Path(sys.argv[1]))"
    words = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert len(said) == len(HOSTILE)
    for name, text in said.items():
        assert text.startswith("grouping unit 0: the files cannot be decoded: "), (name, text)
        assert "pd verify" in text and len(text) < 1000, (name, text)
