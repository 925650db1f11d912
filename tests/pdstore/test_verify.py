from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from pdstore import Layer, Store, layout
from pdstore.errors import CorruptData
from pdstore.verify import Damage, find_garbage, repair, verify
from tests.pdstore.conftest import Place
from tests.pdstore.example import assert_equal, filled, parts

DAY_S = 86400.0


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
            ("data.zarr/rle/c/0", b"cut", "3 bytes instead of"),
            ("rows.parquet", None, "missing"),
            ("errors.parquet", b"flip", "content differs"),
        ],
    )
    def test_damage_is_found_named_and_repaired(
        self, layer: Layer, name: str, change: bytes | None, problem: str
    ) -> None:
        """The damage names the file; repair withdraws only its unit, which can then be computed again."""
        files, path = layer.store.files, f"{layer.manifest(1).folder}/{name}"
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
        ("content", "problem"), [(None, "missing"), (b"{", "JSONDecodeError"), (b"other", "the record of another")]
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


class TestGarbage:
    """What ``pd gc`` lists."""

    @pytest.fixture
    def layer(self, tmp_path: Path) -> Layer:
        return filled(str(tmp_path))

    def test_committed_attempts_are_never_garbage(self, layer: Layer) -> None:
        """They are not, however old they are."""
        assert find_garbage(layer.store, now=time.time() + 365 * DAY_S) == []

    def test_attempts_without_a_manifest_are_garbage_when_old(self, layer: Layer, tmp_path: Path) -> None:
        """They are after a week by default, counted from the newest file; so are those of a withdrawn unit."""
        folder = layer.manifest(1).folder
        layer.withdraw(1)
        killed = f"{layout.attempts('grouping', layer.fingerprint)}/00004.dead"
        (tmp_path / killed).mkdir()
        (tmp_path / killed / "rows.parquet").write_bytes(b"half")
        assert find_garbage(layer.store) == []
        listed = find_garbage(layer.store, now=time.time() + 8 * DAY_S)
        assert sorted(g.path for g in listed) == sorted([folder, killed])
        assert {g.path: g.size for g in listed}[killed] == 4
        assert all(7 * DAY_S < g.age_s < 9 * DAY_S for g in listed)

    def test_an_attempt_that_was_just_begun_is_young(self, layer: Layer, tmp_path: Path) -> None:
        """Its folder has no file yet, and must not be deleted under the writer."""
        (tmp_path / layout.attempts("grouping", layer.fingerprint) / "00004.new").mkdir()
        assert find_garbage(layer.store, older_than_s=60) == []

    def test_an_old_attempt_that_still_gets_files_is_young(self, layer: Layer, tmp_path: Path) -> None:
        """Its newest file decides."""
        folder = tmp_path / layout.attempts("grouping", layer.fingerprint) / "00004.slow"
        folder.mkdir()
        for name, age in (("a", 30 * DAY_S), ("b", 0.0)):
            (folder / name).write_bytes(b"1")
            os.utime(folder / name, (time.time() - age, time.time() - age))
        assert find_garbage(layer.store) == []

    def test_leases_of_the_dead_are_garbage(self, layer: Layer) -> None:
        """All their generations are; a live lease is not."""
        claim = layer.claim(3)
        assert claim is not None
        for generation in (0, 1):
            dead = {"host": "elsewhere", "pid": 1, "beat": 0.0, "started": 0.0}
            path = layout.lease("grouping", layer.fingerprint, 2, generation)
            layer.store.files.write(path, json.dumps(dead).encode())
        with claim:
            listed = [g.path for g in find_garbage(layer.store)]
        assert listed == [layout.lease("grouping", layer.fingerprint, 2, generation) for generation in (0, 1)]

    def test_temporary_files_of_killed_processes_are_garbage(self, layer: Layer, tmp_path: Path) -> None:
        """Old ones are found in every folder where files are created."""
        commits = layout.commits("grouping", layer.fingerprint)
        for name in (".tmp-1", f"{commits}/.tmp-2"):
            (tmp_path / name).write_bytes(b"half")
        assert find_garbage(layer.store) == []
        listed = find_garbage(layer.store, now=time.time() + 8 * DAY_S)
        assert sorted(g.path for g in listed) == [".tmp-1", f"{commits}/.tmp-2"]
        for garbage in listed:
            layer.store.files.remove_tree(garbage.path)
        assert find_garbage(layer.store, now=time.time() + 8 * DAY_S) == []

    def test_nothing_is_called_garbage_while_a_manifest_is_unreadable(self, layer: Layer) -> None:
        """Nobody knows which attempt it named, so it has to be repaired first."""
        layer.store.files.write(layout.commit("grouping", layer.fingerprint, 1), b"{")
        fresh = Store(layer.store.url)
        with pytest.raises(CorruptData, match="pd verify --repair"):
            find_garbage(fresh, now=time.time() + 8 * DAY_S)
