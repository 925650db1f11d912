from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.ipc as ipc
import pytest

from pdstore import Layer
from pdstore.index.indexfile import IndexFile
from tests.pdstore.example import filled


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    layer = filled(str(tmp_path))
    layer.compact(everything=True)
    return layer


def the_file(layer: Layer) -> IndexFile:
    (source,) = layer.commits().gathered
    assert source.file is not None
    return source.file


def test_a_file_is_read_as_it_was_written(layer: Layer) -> None:
    """Entries, number, layer and the names of its rows come back."""
    file = the_file(layer)
    assert IndexFile.from_bytes(file.to_bytes(), layer.node, layer.fingerprint, 0) == file
    assert file.rows is not None and file.errors is not None


def test_any_reader_of_arrow_reads_it(layer: Layer) -> None:
    """What follows the stream, its digest, is no hindrance."""
    data = layer.store.files.read(the_file(layer).path)
    assert ipc.open_stream(data).read_all().column("unit").to_pylist() == [0, 1]


@pytest.mark.parametrize("at", [0, 40, -100, -1])
def test_a_changed_byte_is_noticed(layer: Layer, at: int) -> None:
    """Wherever it is: in the header, the entries or the digest."""
    data = bytearray(the_file(layer).to_bytes())
    data[at] ^= 1
    with pytest.raises(ValueError, match="digest differs"):
        IndexFile.from_bytes(bytes(data), layer.node, layer.fingerprint, 0)


@pytest.mark.parametrize("length", [0, 10, 64, 200])
def test_a_half_written_file_is_noticed(layer: Layer, length: int) -> None:
    """However little of it is there."""
    with pytest.raises(ValueError, match="digest differs"):
        IndexFile.from_bytes(the_file(layer).to_bytes()[:length], layer.node, layer.fingerprint, 0)


def test_a_file_of_another_layer_is_refused(layer: Layer) -> None:
    """So is one under another number: it was copied there."""
    file = the_file(layer)
    with pytest.raises(ValueError, match="number 0 of grouping"):
        IndexFile.from_bytes(file.to_bytes(), layer.node, "f00d", 0)
    with pytest.raises(ValueError, match="number 7 of grouping"):
        IndexFile.from_bytes(replace(file, number=7).to_bytes(), layer.node, layer.fingerprint, 0)


def test_damage_of_the_rows_is_found(layer: Layer) -> None:
    """Their size and their end are compared at once; the rest only if every byte is asked for."""
    rows, files = the_file(layer).rows, layer.store.files
    assert rows is not None and rows.problem(files) == rows.problem_anywhere(files) == ""
    data = files.read(rows.path)
    files.write(rows.path, data[:-1] + bytes([data[-1] ^ 1]))
    assert "end differs" in rows.problem(files) and "end differs" in rows.problem_anywhere(files)
    files.write(rows.path, data + b"x")
    assert f"{len(data) + 1} bytes instead of {len(data)}" in rows.problem(files)
    files.remove(rows.path)
    assert rows.problem(files) == "missing"
