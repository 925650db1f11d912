from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import pdstore.lease
from pdstore import Layer, Store, layout
from pdstore.blockfile import pack
from pdstore.errors import CorruptData
from pdstore.garbage import delete_garbage, find_garbage
from tests.pdstore.example import assert_equal, filled, parts

DAY_S = 86400.0
WRITTEN = (layout.layer, layout.commits, layout.index, layout.withdrawals, layout.leases, layout.failures)


def age(path: Path, seconds: float) -> None:
    """Let the files below a folder, and the folder, look so much older."""
    then = time.time() - seconds
    for file in [*path.rglob("*"), path]:
        os.utime(file, (then, then))


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

    def test_leases_of_the_dead_are_garbage(self, layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
        """All their files are, once none was seen to change for the time to live; live leases are not."""
        place, files = ("grouping", layer.fingerprint), layer.store.files
        dead = [layout.lease(*place, 2, 0), layout.lease(*place, 2, 1), layout.beat(*place, 2, 1, "beef")]
        stray = layout.beat(*place, 1, 0, "beef")
        for path in (*dead, stray):
            files.write(path, b'{"host": "elsewhere", "pid": 1, "beat": 0.0, "started": 0.0}')
        later = time.time() + 8 * DAY_S
        assert [g.path for g in find_garbage(layer.store, now=later)] == [stray]
        now = time.monotonic() + pdstore.lease.TIME_TO_LIVE_S
        monkeypatch.setattr(pdstore.lease.SEEN, "clock", lambda: now)
        claim = layer.claim(3)
        assert claim is not None
        with claim:
            # Their age is that of the files: what the worker's clock showed does not count.
            assert find_garbage(layer.store) == []
            listed = find_garbage(layer.store, now=later)
            assert sorted(g.path for g in listed) == sorted([*dead, stray])
            # Since the list a worker was seen that holds the unit after all.
            files.write(dead[1], b'{"host": "elsewhere", "pid": 1, "beat": 1.0, "started": 0.0}')
            assert not any(delete_garbage(layer.store, g) for g in listed if g.path in dead)
            deleted = {g.path for g in listed if delete_garbage(layer.store, g)}
            assert deleted == {stray} and all(map(files.exists, dead))
        now += pdstore.lease.TIME_TO_LIVE_S
        assert all(delete_garbage(layer.store, g) for g in find_garbage(layer.store, now=later))
        assert files.names(layout.leases(*place)) == []

    def test_temporary_files_of_killed_processes_are_garbage(self, layer: Layer, tmp_path: Path) -> None:
        """Old ones are found in every folder where files are created, and so are checkpoints that were not finished."""
        place = "grouping", layer.fingerprint
        folders = ["", "listings", "selections", *(f(*place) for f in WRITTEN)]
        names = [f"{folder}/.tmp-{number}".lstrip("/") for number, folder in enumerate(folders)]
        names.append(f"{layout.checkpoints(*place)}/checkpoints/.step_00000004.pt.0123")
        names += [f"{layout.checkpoints(*place)}/{name}" for name in (".log.jsonl.0123", "checkpoints/.tmp-1")]
        names += ["jobs/.tmp-1", f"leases/grouping/{layout.indexer(layer.fingerprint)}/.tmp-1"]
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"half")
        assert find_garbage(layer.store) == []
        listed = find_garbage(layer.store, now=time.time() + 8 * DAY_S)
        assert sorted(g.path for g in listed) == sorted(names) and {g.size for g in listed} == {4}
        for garbage in listed:
            assert delete_garbage(layer.store, garbage)
        assert find_garbage(layer.store, now=time.time() + 8 * DAY_S) == []

    def test_what_a_writer_has_not_committed_yet_is_not_taken(self, layer: Layer, tmp_path: Path) -> None:
        """A writer that is paused between its files and its manifest commits them afterwards, whole."""
        held, files = layer.claim(4), layer.store.files
        assert held is not None
        with held:
            content = pack(parts(3, seed=4))
            attempt = layout.attempt("grouping", layer.fingerprint, 4, "paused")
            files.write_many({f"{attempt}/{name}": data for name, data in content.items()})
            age(tmp_path / attempt, 30 * DAY_S)
            assert find_garbage(layer.store, older_than_s=0) == []
        (garbage,) = find_garbage(layer.store)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pdstore.commit.new_attempt", lambda: "paused")
            layer.commit(4, parts(3, seed=4))
        assert not delete_garbage(layer.store, garbage)
        assert_equal(Store(layer.store.url).layer("grouping", layer.fingerprint).read(4), parts(3, seed=4))

    def test_a_unit_that_was_claimed_since_the_list_is_left(self, layer: Layer, tmp_path: Path) -> None:
        """Its lease is looked at again before anything is deleted."""
        folder = tmp_path / layout.attempts("grouping", layer.fingerprint) / "00004.dead"
        folder.mkdir()
        age(folder, 30 * DAY_S)
        (garbage,) = find_garbage(layer.store)
        held = layer.claim(4)
        assert held is not None
        with held:
            assert not delete_garbage(layer.store, garbage) and folder.exists()
        assert delete_garbage(layer.store, garbage) and not folder.exists()

    def test_age_counts_from_the_withdrawal(self, layer: Layer, tmp_path: Path) -> None:
        """Files that are a month old, of a unit withdrawn a second ago, may still be read by somebody."""
        folder = tmp_path / layer.manifest(1).folder
        age(folder, 30 * DAY_S)
        reader = Store(layer.store.url).layer("grouping", layer.fingerprint)
        assert reader.manifest(1).attempt in str(folder)
        layer.withdraw(1)
        assert find_garbage(layer.store) == []
        assert_equal(reader.read(1), parts(5, seed=1))
        (garbage,) = find_garbage(layer.store, now=time.time() + 8 * DAY_S)
        assert tmp_path / garbage.path == folder

    def test_replaced_index_files_are_garbage(self, layer: Layer) -> None:
        """A week after a larger file has replaced them; what is in use is not, and nothing is missing afterwards."""
        layer.compact(everything=True)
        assert find_garbage(layer.store, now=time.time() + 365 * DAY_S) == []
        layer.commit(2, parts(2, seed=2))
        layer.compact(everything=True)
        assert find_garbage(layer.store) == []
        listed = find_garbage(layer.store, now=time.time() + 8 * DAY_S)
        assert [g.path.rsplit(".", 1)[1] for g in listed] == ["arrow", "parquet", "parquet"]
        for garbage in listed:
            assert delete_garbage(layer.store, garbage)
        assert find_garbage(layer.store, now=time.time() + 8 * DAY_S) == []
        assert [len(source) for source in layer.commits().gathered] == [3]

    def test_nothing_is_called_garbage_while_a_manifest_is_unreadable(self, layer: Layer) -> None:
        """Nobody knows which attempt it named, so it has to be repaired first."""
        layer.store.files.write(layout.commit("grouping", layer.fingerprint, 1), b"{")
        fresh = Store(layer.store.url)
        with pytest.raises(CorruptData, match="pd verify --repair"):
            find_garbage(fresh, now=time.time() + 8 * DAY_S)
