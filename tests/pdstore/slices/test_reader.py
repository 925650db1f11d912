"""Slices against the plain way: read every unit whole and pick the rows."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdstore import Layer, Rows, Store
from pdstore.errors import CorruptData, InputMissing
from pdstore.files import Files
from pdstore.slices import reader
from pdstore.slices.reader import Slices
from tests.pdstore.slices.example import VOTES, sliced_layer, votes


def opened(layer: Layer) -> Slices:
    return Slices(layer.store.files, layer, "vector")


def plain(layer: Layer, units: list[int], low: int, high: int) -> dict[int, np.ndarray]:
    """Value -> vectors, from whole units."""
    rows = Rows.concat(VOTES, (layer.read(unit) for unit in units))
    return {value: rows["vector"][index] for value, index in rows.by("group").items() if low <= value < high}


@given(
    st.lists(st.lists(st.integers(0, 6), max_size=12), min_size=1, max_size=5),
    st.integers(0, 7),
    st.integers(0, 7),
    st.integers(1, 3),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_slices_are_the_rows_of_whole_units(
    monkeypatch: pytest.MonkeyPatch, groups: list[list[int]], low: int, count: int, at_once: int
) -> None:
    """Equal to the byte and in the same order, however many units are read together; values without rows are absent."""
    monkeypatch.setattr(reader, "UNITS_PER_READ", at_once)
    units = [votes(sorted(own), seed) for seed, own in enumerate(groups)]
    layer = sliced_layer(f"memory://{secrets.token_hex(4)}", units)
    slices, numbers, high = opened(layer), list(range(len(units))), low + count
    found, expected = slices.read(numbers, low, high), plain(layer, numbers, low, high)
    assert {value: (v.shape, v.tobytes()) for value, v in found.items()} == {
        value: (v.shape, v.tobytes()) for value, v in expected.items()
    }
    assert slices.count(numbers, low, high).tolist() == [len(expected.get(v, ())) for v in range(low, high)]
    assert slices.row_bytes(numbers) == (10 if any(groups) else 0)


class Counted(Files):
    """A folder that counts the bytes that are read of each file."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.bytes: Counter[str] = Counter()

    def read(self, path: str) -> bytes:
        data = super().read(path)
        self.bytes[path.rsplit("/", 1)[-1]] += len(data)
        return data

    def read_ranges(self, ranges):
        found = super().read_ranges(ranges)
        self.bytes["vectors"] += sum(map(len, found))
        return found


def test_every_vector_is_read_once(tmp_path: Path) -> None:
    """Range after range, the vectors are read once in all, and each index once."""
    units = [votes(np.repeat(np.arange(50), 4), seed) for seed in range(3)]
    layer = sliced_layer(str(tmp_path), units)
    files = layer._files = Counted(str(tmp_path))
    slices = Slices(files, layer, "vector")
    for low in range(0, 50, 7):
        slices.read([0, 1, 2], low, low + 7)
    assert files.bytes.pop("vectors") == sum(rows["vector"].nbytes for rows in units)
    once = {path.name: path.stat().st_size for path in tmp_path.rglob("*.json") if "commits" in path.parts}
    indexes = sum(path.stat().st_size for path in tmp_path.rglob("slices.parquet"))
    assert files.bytes == once | {"slices.parquet": indexes}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[11] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("name", "damage", "problem"),
    [
        ("data.zarr/vector/c/0/0", _cut, "it is too short"),
        ("data.zarr/vector/c/0/0", _flip, "CRC-32"),
        ("data.zarr/vector/c/0/0", Path.unlink, "a committed file is missing"),
        ("slices.parquet", _flip, "slices.parquet is damaged"),
        ("slices.parquet", Path.unlink, "a committed file is missing"),
    ],
)
def test_damage_is_found(tmp_path: Path, name: str, damage: Callable[[Path], None], problem: str) -> None:
    """A slice is checked although the file is not read whole; the error names the unit and how to repair it."""
    layer = sliced_layer(str(tmp_path), [votes([1, 1, 2])])
    (path,) = tmp_path.glob(f"layers/votes/*/blocks/*/{name}")
    damage(path)
    with pytest.raises(CorruptData, match=rf"votes unit 0: .*{problem}.*pd verify"):
        opened(layer).read([0], 0, 9)


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    """Damage in the slice of another value does not matter."""
    layer = sliced_layer(str(tmp_path), [votes([1, 1, 2])])
    (path,) = tmp_path.glob("layers/votes/*/blocks/*/data.zarr/vector/c/0/0")
    _flip(path)
    assert list(opened(layer).read([0], 2, 3)) == [2]


def test_a_unit_that_was_computed_again_is_read_again(tmp_path: Path) -> None:
    """The index of the former attempt is dropped once the layer has seen the new manifest."""
    layer = sliced_layer(str(tmp_path), [votes([1, 1, 2])])
    slices = opened(layer)
    assert slices.count([0], 1, 3).tolist() == [2, 1]
    layer.withdraw(0)
    with pytest.raises(InputMissing, match="the unit is not committed"):
        slices.read([0], 1, 3)
    layer.commit(0, votes([1, 2, 2], seed=5))
    assert slices.count([0], 1, 3).tolist() == [1, 2]
    assert slices.read([0], 1, 3)[2].tobytes() == votes([1, 2, 2], seed=5)["vector"][1:].tobytes()


def test_a_store_elsewhere_gives_the_same(tmp_path: Path) -> None:
    """What a local folder gives, any fsspec URL gives."""
    units = [votes([0, 1, 1, 4], seed) for seed in (1, 2)]
    here = sliced_layer(str(tmp_path), units)
    there = sliced_layer(f"memory://{secrets.token_hex(4)}", units)
    assert isinstance(there.store, Store) and not there.store.files.is_local
    first, second = (opened(layer).read([0, 1], 0, 5) for layer in (here, there))
    assert {value: v.tobytes() for value, v in first.items()} == {value: v.tobytes() for value, v in second.items()}
