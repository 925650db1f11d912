"""The format is open and stays readable: without the engine, and in stores that earlier versions wrote."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pdstore import Catalog, Layer, Store
from pdstore.blockfile import pack
from pdstore.commit import FileEntry
from pdstore.verify import verify
from tests.pdstore.example import TABLES, assert_equal, drawn, errors, filled, identity, parts

V1 = Path(__file__).parent.parent / "data" / "store_v1"

# What the README says about the format, as a program that does not import the engine.
READER = """
import json, pathlib, sys
import duckdb, numpy, pycocotools.mask, zarr

root = pathlib.Path(sys.argv[1])
assert json.loads((root / "store.json").read_text())["format"] in (1, 2)
for layer in sorted(root.glob("layers/*/*")):
    commits = [json.loads(path.read_text()) for path in sorted(layer.glob("commits/*.json"))]
    folders = [layer / "blocks" / f"{c['unit']:05d}.{c['attempt']}" for c in commits]
    files = [str(folder / "rows.parquet") for folder in folders]
    count, score = duckdb.execute("SELECT count(*), sum(score) FROM read_parquet(?)", [files]).fetchone()
    pixels, total = 0, 0.0
    for folder in folders:
        group = zarr.open_group(folder / "data.zarr", mode="r", zarr_format=3)
        data, offsets = group["rle"][:], group["rle_offsets"][:]
        total += float(group["feature"][:].astype("float64").sum())
        for start, end in zip(offsets[:-1], offsets[1:]):
            pixels += int(pycocotools.mask.decode({"size": [12, 9], "counts": data[start:end].tobytes()}).sum())
    print(layer.parent.name, count, round(score, 4), pixels, round(total, 3))
assert not any(name.split(".")[0] == "pdstore" for name in sys.modules)
"""


def test_zarr_duckdb_and_pycocotools_suffice(tmp_path: Path) -> None:
    """A program that imports only these three reads every row, vector and mask."""
    filled(str(tmp_path))
    printed = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    blocks = [parts(4, 0), parts(5, 1)]
    score = round(sum(float(rows["score"].astype(float).sum()) for rows in blocks), 4)
    total = round(sum(float(rows["feature"].astype(float).sum()) for rows in blocks), 3)
    pixels = int(drawn(4, 0).sum() + drawn(5, 1).sum())
    assert printed.stdout.split() == ["grouping", "9", str(score), str(pixels), str(total)]


@pytest.fixture
def first(tmp_path: Path) -> Layer:
    """The layer of a store that version 0.1.0 wrote (tests/data/make_store.py), copied to a temporary folder."""
    shutil.copytree(V1, tmp_path / "store")
    return Store(str(tmp_path / "store")).layer("grouping", identity(k=4).fingerprint)


def test_a_store_of_format_1_is_read(first: Layer) -> None:
    """Its settings, rows, errors and checksums are those that were written."""
    assert first.info.identity == identity(k=4)
    assert first.units() == [0, 1]
    for unit in first.units():
        assert_equal(first.read(unit), parts(4 + unit, seed=unit))
    rows = first.errors(1)
    assert rows is not None
    assert rows.equals(errors(2).to_arrow())
    assert list(verify(first.store)) == [None, None]


def test_rows_of_images_are_read_from_a_store_of_format_1(first: Layer) -> None:
    """As all rows are."""
    for unit in first.units():
        rows = parts(4 + unit, seed=unit)
        assert_equal(first.read_images(unit, [101, 2, 3]), rows.take(np.isin(rows["image_id"], [101, 2, 3])))


def test_chunks_are_still_those_of_format_1(first: Layer) -> None:
    """Equal rows of a small block give the same chunks and scalars as version 0.1.0 wrote."""
    for unit in first.units():
        manifest, packed = first.manifest(unit), pack(parts(4 + unit, seed=unit))
        for name in ("rows.parquet", "data.zarr/rle/c/0", "data.zarr/rle_offsets/c/0", "data.zarr/feature/c/0/0"):
            assert FileEntry.of(packed[name]) == manifest.files[name]


def test_a_store_of_format_1_is_queried(first: Layer) -> None:
    """SQL sees the rows that version 0.1.0 wrote."""
    catalog = Catalog(first.store, TABLES, {"grouping": first.fingerprint})
    assert catalog.query("SELECT count(*) AS n, max(name) AS m FROM parts").to_pylist() == [{"n": 9, "m": "part «4»"}]


def test_a_store_of_format_1_is_continued(first: Layer) -> None:
    """New units are committed next to the old ones."""
    first.commit(2, parts(6, seed=2))
    assert [len(rows) for rows in first.scan()] == [4, 5, 6]
