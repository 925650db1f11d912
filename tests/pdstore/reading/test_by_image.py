from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdstore import Identity, Layer, Rows, Store, blockfile
from pdstore import layer as layers
from pdstore.arrays import chunks
from pdstore.errors import CorruptData, InputMissing
from pdstore.files import Files
from pdstore.reading import by_image
from tests.pdstore.conftest import Place
from tests.pdstore.example import PARTS, TABLES, assert_equal, filled, new_layer, new_store, parts


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a block of a few rows has shards of several chunks."""
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 64)
    monkeypatch.setattr(chunks, "SHARD_BYTES", 512)


def of_images(rows: Rows, image_ids: list[int]) -> Rows:
    """The same rows out of all."""
    return rows.take(np.isin(rows["image_id"], image_ids))


def with_ids(image_ids: list[int], seed: int = 0) -> Rows:
    return Rows(PARTS, {**parts(len(image_ids), seed).columns, "image_id": np.array(image_ids, np.int64)})


class TestContract:
    """Wherever the store is."""

    @pytest.fixture
    def layer(self, place: Place) -> Layer:
        layer = new_layer(new_store(place.url, **place.options))
        layer.commit(0, with_ids([0, 0, 0, 1, 3, 3, 4, 4, 4, 4, 7]))
        layer.commit(1, with_ids([9, 8, 9, 15, 8], seed=1))
        layer.commit(2, Rows.empty(PARTS))
        return layer

    def test_rows_of_images_are_those_of_the_unit(self, layer: Layer) -> None:
        """In its order, whether images are one after the other or mixed; an image without rows adds none."""
        for unit in (0, 1, 2):
            for image_ids in ([0], [3], [7], [5], [], [7, 1], [0, 3, 4], [8], [9, 15, 8], [99, 4]):
                assert_equal(layer.read_images(unit, image_ids), of_images(layer.read(unit), image_ids))

    def test_some_columns_are_enough(self, layer: Layer) -> None:
        """Of every layout, in whatever order they are named, and without image_id."""
        whole = of_images(layer.read(0), [3])
        for names in (["rle"], ["feature"], ["name", "score"], ["rle", "feature", "part"], []):
            rows = layer.read_images(0, [3], names)
            assert set(rows.columns) == set(names)
            for name in names:
                if name == "rle":
                    assert rows.ragged(name) == whole.ragged(name)
                else:
                    assert np.array_equal(rows[name], whole[name])

    def test_what_cannot_be_read_is_an_error(self, layer: Layer) -> None:
        """A column that does not exist, and a unit that is not committed, as with ``read``."""
        with pytest.raises(ValueError, match="no column"):
            layer.read_images(0, [0], ["colour"])
        with pytest.raises(InputMissing, match="not committed"):
            layer.read_images(5, [0])

    def test_a_unit_that_is_committed_again_is_read_anew(self, layer: Layer) -> None:
        """Nothing of the withdrawn one is remembered."""
        assert len(layer.read_images(0, [1])) == 1
        layer.withdraw(0)
        layer.commit(0, with_ids([1, 1], seed=5))
        assert_equal(layer.read_images(0, [1]), with_ids([1, 1], seed=5))

    def test_damage_is_corrupt_data(self, layer: Layer) -> None:
        """A file that is changed, cut off or gone: the error names the unit and what to do."""
        for name in ("rows.parquet", "data.zarr/zarr.json", "data.zarr/rle/c/0"):
            manifest = layer.manifest(0)
            path, start = manifest.place(name)
            data, at = layer.store.files.read(path), start + 8
            for content in (
                data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
                data[: start + manifest.files[name].size - 1],
                None,
            ):
                if content is None:
                    layer.store.files.remove(path)
                else:
                    layer.store.files.write(path, content)
                fresh = layer.store.layer(layer.node, layer.fingerprint)
                with pytest.raises(CorruptData, match=r"grouping unit 0.*pd verify --repair"):
                    fresh.read_images(0, [0])
            layer.store.files.write(path, data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(
    ids=st.lists(st.integers(0, 5), max_size=30), wanted=st.lists(st.integers(0, 6), max_size=4), rises=st.booleans()
)
def test_any_rows_and_images(tmp_path: Path, ids: list[int], wanted: list[int], rises: bool) -> None:
    """The same as reading all and choosing."""
    layer = new_layer(Store(str(tmp_path)) if (tmp_path / "store.json").exists() else new_store(str(tmp_path)))
    unit = len(layer.units())
    layer.commit(unit, with_ids(sorted(ids) if rises else ids, seed=unit))
    assert_equal(layer.read_images(unit, wanted), of_images(layer.read(unit), wanted))


def test_masks_of_other_images_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One image costs its chunks and not its block; the scalars of a unit are read once."""
    layer = new_layer(new_store(str(tmp_path)))
    layer.commit(0, with_ids(list(range(400))))
    read: list[int] = []
    ranges, many = Files.read_ranges, Files.read_many

    def counted(self: Files, wanted: Any) -> Any:
        found = ranges(self, wanted)
        read.extend(map(len, found))
        return found

    def counted_files(self: Files, paths: list[str]) -> dict[str, bytes]:
        found = many(self, paths)
        read.extend(map(len, found.values()))
        return found

    monkeypatch.setattr(Files, "read_ranges", counted)
    monkeypatch.setattr(Files, "read_many", counted_files)
    layer.read(0, ["rle"])
    whole = sum(read)
    read.clear()
    layer.read_images(0, [200], ["rle"])
    read.clear()
    layer.read_images(0, [201], ["rle"])
    assert 0 < sum(read) < whole / 20


def test_scalars_of_few_units_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the number of units that were read."""
    monkeypatch.setattr(by_image, "KEPT_ROWS", 12)
    layer = filled(str(tmp_path), units=range(6))
    for _ in range(2):
        for unit in range(6):
            assert_equal(layer.read_images(unit, [100 * unit]), of_images(layer.read(unit), [100 * unit]))
            assert layer._by_image is not None
            assert sum(map(len, layer._by_image._units.values())) <= 12


def test_arrays_that_zarr_stored_otherwise_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the unit is read as a whole."""
    layer = filled(str(tmp_path))
    monkeypatch.setattr(chunks.ArrayInfo, "of", classmethod(lambda *_: None))
    assert_equal(layer.read_images(1, [102]), of_images(parts(5, 1), [102]))


def test_arrays_of_other_rows_are_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit whose scalars and masks are of different numbers of rows is corrupt, not read as far as it goes."""
    layer = new_layer(new_store(str(tmp_path)))
    packed = blockfile.pack(parts(6))
    monkeypatch.setattr(layers, "pack", lambda rows: {**packed, "rows.parquet": blockfile.pack(rows)["rows.parquet"]})
    layer.commit(0, parts(9))
    with pytest.raises(CorruptData, match=r"rle_offsets has the shape \(7,\), of 9 rows"):
        layer.read_images(0, [8], ["rle"])


def test_a_table_without_images_is_refused(tmp_path: Path) -> None:
    """Its rows belong to no image."""
    layer = new_store(str(tmp_path)).declare("ranking", Identity("ranking", 1), TABLES[2], "pdstore")
    layer.commit(0, Rows(TABLES[2], {"category_id": [1]}))
    with pytest.raises(ValueError, match="no column.*image_id"):
        layer.read_images(0, [0])
