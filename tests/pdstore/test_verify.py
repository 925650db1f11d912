from __future__ import annotations

import json
import re

import pytest

from pdstore import Layer, Store, layout
from pdstore.errors import CorruptData
from pdstore.verify import Damage, repair, verify
from tests.pdstore.conftest import Place
from tests.pdstore.example import assert_equal, filled, parts


def damages(store: Store, node: str | None = None) -> list[Damage]:
    return [item for item in verify(store, node) if item]


class TestContract:
    """Verify and repair, wherever the store is."""

    @pytest.fixture
    def layer(self, place: Place) -> Layer:
        return filled(place.url, **place.options)

    def test_a_sound_store_has_no_damage(self, layer: Layer) -> None:
        """Each unit yields one item, None; a node that does not exist has no units."""
        assert list(verify(layer.store)) == [None, None]
        assert list(verify(layer.store, "grouping")) == [None, None]
        assert list(verify(layer.store, "crf")) == []

    @pytest.mark.parametrize(
        ("name", "change", "problem"),
        [
            ("data.zarr/rle/c/0", b"cut", " bytes instead of"),
            ("rows.parquet", None, "missing"),
            ("errors.parquet", b"flip", "content differs"),
        ],
    )
    def test_damage_is_found_named_and_repaired(
        self, layer: Layer, name: str, change: bytes | None, problem: str
    ) -> None:
        """The damage names the file; repair withdraws only its unit, which can then be computed again."""
        files, path = layer.store.files, layer.manifest(1).place(name)[0]
        sound = files.read(path)
        if change == b"flip":
            change = bytes([sound[0] ^ 1]) + sound[1:]
        files.remove(path) if change is None else files.write(path, change)
        (damage,) = damages(layer.store)
        assert (damage.node, damage.fingerprint, damage.unit, damage.file) == ("grouping", layer.fingerprint, 1, path)
        assert problem in damage.problem
        repair(layer.store, damage)
        fresh = layer.store.layer("grouping", layer.fingerprint)
        assert fresh.units() == [0]
        fresh.commit(1, parts(5, seed=1))
        assert damages(layer.store) == []
        assert_equal(fresh.read(1), parts(5, seed=1))

    @pytest.mark.parametrize(
        ("content", "problem"), [(None, "missing"), (b"{", "JSONDecodeError"), (b"other", "its digest differs")]
    )
    def test_a_damaged_record_of_a_layer_is_found(self, layer: Layer, content: bytes | None, problem: str) -> None:
        """It is one more item; once it is declared again the layer is sound, with its units untouched."""
        info, store, path = layer.info, layer.store, layout.layer_info("grouping", layer.fingerprint)
        if content == b"other":
            content = store.files.read(path).replace(b'"k": 4', b'"k": 5')
        store.files.remove(path) if content is None else store.files.write(path, content)
        (damage,) = damages(store)
        assert (damage.unit, damage.file) == (-1, path) and problem in damage.problem
        repair(store, damage)
        store.declare("grouping", info.identity, info.table, info.program)
        assert list(verify(store)) == [None, None]

    def test_an_unreadable_manifest_is_repaired_too(self, layer: Layer, place: Place) -> None:
        """Repairing one twice in a row works: each manifest is kept under a name of its own."""
        path = layout.commit("grouping", layer.fingerprint, 1)
        for round_ in (1, 2):
            layer.store.files.write(path, b"{")
            store = Store(place.url, **place.options)
            (damage,) = damages(store)
            assert (damage.unit, damage.file) == (1, path)
            repair(store, damage)
            assert len(store.files.names(f"{layout.layer('grouping', layer.fingerprint)}/withdrawn")) == round_
            store.layer("grouping", layer.fingerprint).commit(1, parts(5, seed=1))
            assert damages(store) == []

    def test_a_manifest_that_lost_a_chunk_is_damage(self, layer: Layer, place: Place) -> None:
        """Zarr would read the chunk as zeros: reading the unit fails, and so does verifying it."""
        values = json.loads(layer.store.files.read(layout.commit("grouping", layer.fingerprint, 1)))
        del values["files"]["data.zarr/feature/c/0/0"], values["digest"]
        layer.store.files.write(layout.commit("grouping", layer.fingerprint, 1), json.dumps(values).encode())
        store = Store(place.url, **place.options)
        # Where the arrays are one archive, the other files of it are looked for in the wrong place.
        with pytest.raises(CorruptData, match="no chunk feature/c/0/0|content differs"):
            store.layer("grouping", layer.fingerprint).read(1)
        (damage,) = damages(store)
        assert damage.unit == 1 and re.search("no chunk|content differs", damage.problem)
        repair(store, damage)
        assert store.layer("grouping", layer.fingerprint).units() == [0]

    def test_rows_that_are_not_as_many_as_were_committed_are_damage(self, layer: Layer, place: Place) -> None:
        """The footer of the Parquet file and the manifest must agree."""
        values = json.loads(layer.store.files.read(layout.commit("grouping", layer.fingerprint, 1)))
        values["rows"]["parts"] += 1
        del values["digest"]
        layer.store.files.write(layout.commit("grouping", layer.fingerprint, 1), json.dumps(values).encode())
        (damage,) = damages(Store(place.url, **place.options))
        assert damage.problem.endswith("the files hold 5 rows, but 6 were committed")

    def test_a_manifest_of_another_unit_is_damage(self, layer: Layer, place: Place) -> None:
        """Copied over another unit's, it is not read as that unit's rows."""
        first, second = (layout.commit("grouping", layer.fingerprint, unit) for unit in (0, 1))
        layer.store.files.write(second, layer.store.files.read(first))
        store = Store(place.url, **place.options)
        with pytest.raises(CorruptData, match="the manifest of another unit: unit 0"):
            store.layer("grouping", layer.fingerprint).read(1)
        assert [(d.unit, d.file) for d in damages(store)] == [(1, second)]
