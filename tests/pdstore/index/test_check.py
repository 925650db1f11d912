from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pdstore import Layer, layout
from pdstore.index.check import index_problems, unused_index_files
from tests.pdstore.example import filled, parts


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    layer = filled(str(tmp_path), units=range(3))
    layer.compact(everything=True)
    return layer


def problems(layer: Layer) -> list[str]:
    found = index_problems(layer.store.files, layer.node, layer.fingerprint)
    return [f"{path.rsplit('/', 1)[-1]}: {problem}" for path, problem in found]


def unused(layer: Layer) -> list[str]:
    found = unused_index_files(layer.store.files, layer.node, layer.fingerprint)
    return [path.rsplit("/", 1)[-1] for path, _, _ in found]


def test_a_sound_index_has_no_problem(layer: Layer) -> None:
    """Also after units of it were withdrawn and computed again, and in a layer without an index."""
    assert problems(layer) == []
    layer.withdraw(1)
    assert problems(layer) == []
    layer.commit(1, parts(2, seed=7))
    assert problems(layer) == []
    layer.store.files.remove_tree(layout.index(layer.node, layer.fingerprint))
    assert problems(layer) == []


def test_damage_is_found(layer: Layer) -> None:
    """Of the index file, and of any byte of the rows that it names."""
    (source,) = layer.commits().gathered
    assert source.file is not None and source.file.rows is not None
    path, data = source.file.rows.path, layer.store.files.read(source.file.rows.path)
    layer.store.files.write(path, data[:30] + bytes([data[30] ^ 1]) + data[31:])
    (problem,) = problems(layer)
    assert problem.startswith("00000.arrow: 00000.") and "rows.parquet: " in problem
    layer.store.files.write(source.file.path, b"junk")
    assert problems(layer) == ["00000.arrow: its digest differs from its content"]


def test_a_contradiction_of_the_manifest_is_found(layer: Layer) -> None:
    """An entry with the right attempt and another content, as if the manifest had been rewritten."""
    (source,) = layer.commits().gathered
    assert source.file is not None
    at = source.file.table.column_names.index("content")
    table = source.file.table.set_column(at, "content", pa.array(["0" * 64] * 3))
    layer.store.files.write(source.file.path, replace(source.file, table=table).to_bytes())
    (problem,) = problems(layer)
    assert "of unit 0, committed is" in problem


def test_what_larger_files_have_replaced_is_unused(layer: Layer) -> None:
    """The index file comes before the rows that it names; rows that none names are unused, too."""
    assert unused(layer) == []
    layer.commit(3, parts(1))
    layer.compact(everything=True)
    names = unused(layer)
    assert names[0] == "00000.arrow" and sorted(name.split(".")[-2] for name in names[1:]) == ["errors", "rows"]
    layer.store.files.write(f"{layout.index(layer.node, layer.fingerprint)}/00009.ab.rows.parquet", b"")
    assert unused(layer) == [*names, "00009.ab.rows.parquet"]


def test_the_age_counts_from_the_replacement(layer: Layer, tmp_path: Path) -> None:
    """A reader that found the smaller file may still read it, however old that is."""
    folder = tmp_path / layout.index(layer.node, layer.fingerprint)
    for path in folder.iterdir():
        os.utime(path, (1e9, 1e9))
    layer.commit(3, parts(1))
    layer.compact(everything=True)
    times = [used for _, used, _ in unused_index_files(layer.store.files, layer.node, layer.fingerprint)]
    assert len(times) == 3 and min(times) > time.time() - 3600
