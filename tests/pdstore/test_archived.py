"""Units whose arrays are one archive, as they are written to an object store."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import numpy as np
import pytest

from pdstore import Layer, Store, commit
from pdstore.errors import CorruptData
from pdstore.slices.reader import Slices
from pdstore.verify import verify
from tests.pdstore.example import assert_equal, filled, parts
from tests.pdstore.slices.example import sliced_layer, votes

URL = "memory://archived-{}"


def copied(layer: Layer, folder: Path) -> Layer:
    """The layer in a local copy of its store."""
    for path in layer.store.files.sizes(""):
        target = folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(layer.store.files.read(path))
    return Store(str(folder)).layer(layer.node, layer.fingerprint)


def test_the_arrays_of_a_unit_are_one_object(tmp_path: Path) -> None:
    """Its content is that of the same unit in a local store, where each file lies in its folder."""
    layer, local = filled(URL.format("one")), filled(str(tmp_path))
    manifest = layer.manifest(1)
    names = {path.rsplit("/", 1)[1] for path in layer.store.files.sizes(manifest.folder)}
    assert names == {"rows.parquet", "errors.parquet", "data.zarr.zip"}
    assert (manifest.format, local.manifest(1).format) == (2, 1)
    assert (manifest.files, manifest.content) == (local.manifest(1).files, local.manifest(1).content)
    assert len(local.store.files.sizes(local.manifest(1).folder)) == len(manifest.files)


def test_arrays_that_are_too_large_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive is in memory beside what it is made of."""
    monkeypatch.setattr(commit, "ARCHIVE_BYTES", 100)
    layer = filled(URL.format("large"))
    manifest = layer.manifest(1)
    assert manifest.format == 1 and len(layer.store.files.sizes(manifest.folder)) == len(manifest.files)
    assert_equal(layer.read(1), parts(5, seed=1))


def test_a_local_copy_is_read_as_the_store(tmp_path: Path) -> None:
    """Whole units, single columns, single images, and slices; what is computed there lies in folders again."""
    layer = copied(filled(URL.format("copied")), tmp_path / "parts")
    expected = parts(5, seed=1)
    assert_equal(layer.read(1), expected)
    assert layer.read(1, ["rle"]).ragged("rle") == expected.ragged("rle")
    image_id = int(expected["image_id"][2])
    found = layer.read_images(1, [image_id])
    assert_equal(found, expected.take(np.flatnonzero(expected["image_id"] == image_id)))
    assert list(verify(layer.store)) == [None, None]
    assert layer.commit(2, expected).format == 1
    units = [votes([1, 1, 4, 7], 3), votes([4, 4, 9], 5)]
    sliced = copied(sliced_layer(URL.format("sliced"), units), tmp_path / "votes")
    slices = Slices(sliced.store.files, sliced, "vector").read([0, 1], 4, 8)
    assert np.array_equal(slices[4], np.concatenate([units[0]["vector"][2:3], units[1]["vector"][:2]]))
    assert np.array_equal(slices[7], units[0]["vector"][3:])


def test_damaged_slices_are_noticed(tmp_path: Path) -> None:
    """Wherever the damage is, the vectors are those that were committed, or there is an error."""
    rows = votes([1, 1, 4, 7], 3)
    layer = copied(sliced_layer(URL.format("slices"), [rows]), tmp_path)
    path = tmp_path / layer.manifest(0).archive
    sound, errors = path.read_bytes(), 0
    for place in range(0, len(sound), 7):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 16]) + sound[place + 1 :])
        try:
            found = Slices(layer.store.files, layer, "vector").read([0], 0, 9)
        except CorruptData:
            errors += 1
        else:
            assert np.array_equal(np.concatenate([found[1], found[4], found[7]]), rows["vector"])
    assert errors > 4


def test_any_damage_of_the_archive_is_noticed(tmp_path: Path) -> None:
    """Verifying names it, wherever it is; reading fails, or gives what was committed."""
    layer = copied(filled(URL.format("damaged")), tmp_path)
    path = tmp_path / layer.manifest(1).archive
    sound, rng, expected = path.read_bytes(), random.Random(0), parts(5, seed=1)
    assert len(set(expected["image_id"].tolist())) == 5
    for place in rng.sample(range(len(sound)), 50):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ rng.randrange(1, 256)]) + sound[place + 1 :])
        fresh = Store(str(tmp_path)).layer(layer.node, layer.fingerprint)
        damaged = [damage for damage in verify(fresh.store) if damage is not None]
        assert [(damage.unit, damage.file) for damage in damaged] == [(1, layer.manifest(1).archive)]
        with contextlib.suppress(CorruptData):
            assert_equal(fresh.read(1), expected)
        for number, image_id in enumerate(expected["image_id"].tolist()):
            with contextlib.suppress(CorruptData):
                assert_equal(fresh.read_images(1, [image_id]), expected.take([number]))
    for cut in (0, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:cut])
        assert any(damage is not None and damage.unit == 1 for damage in verify(layer.store))
