from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore import Layer, Rows, Store, StoreInfo, layout
from pdstore.errors import CommitConflict, CorruptData, InputMissing, UsageError
from tests.pdstore.conftest import Place
from tests.pdstore.example import PARTS, assert_equal, errors, filled, identity, new_layer, new_store, parts


class TestContract:
    """What a stage relies on, wherever the store is."""

    @pytest.fixture
    def layer(self, place: Place) -> Layer:
        return filled(place.url, **place.options)

    def test_a_store_is_made_once(self, place: Place) -> None:
        """Making it again is a usage error that changes nothing; opening it gives what was recorded."""
        new_store(place.url, **place.options)
        with pytest.raises(UsageError, match="a store already exists here.*--add"):
            Store.create(place.url, StoreInfo(64, 1, {}), **place.options)
        assert Store(place.url, **place.options).info == StoreInfo(8, 3, {"images": "/photos"})

    def test_the_record_of_a_store_can_be_replaced(self, place: Place) -> None:
        """Whoever opens the store next sees the new record."""
        store = new_store(place.url, **place.options)
        store.replace_info(StoreInfo(8, 3, {"images": "/photos"}, vocabulary="abc"))
        assert store.info.vocabulary == Store(place.url, **place.options).info.vocabulary == "abc"

    def test_a_unit_is_read_as_it_was_committed(self, layer: Layer) -> None:
        """A read returns all columns or those named, and a scan returns the units one by one."""
        assert layer.units() == [0, 1]
        for unit, rows in zip([0, 1], layer.scan(), strict=True):
            assert_equal(rows, parts(4 + unit, seed=unit))
        some = layer.read(1, ["score", "rle"])
        assert set(some.columns) == {"score", "rle"}
        assert [len(rows) for rows in layer.scan(["part"], units=[1, 0])] == [5, 4]

    def test_another_process_sees_the_commits(self, layer: Layer, place: Place) -> None:
        """A layer that is found by its node and fingerprint has the same declaration and units."""
        store = Store(place.url, **place.options)
        assert store.nodes() == ["grouping"]
        (other,) = store.layers("grouping")
        assert other.fingerprint == layer.fingerprint == identity(k=4).fingerprint
        assert (other.table, other.info.identity, other.info.program) == (PARTS, identity(k=4), "pdstore 0.1.0")
        assert other.units() == [0, 1]
        assert_equal(other.read(1), parts(5, seed=1))

    def test_errors_and_extra_files_are_part_of_the_unit(self, layer: Layer) -> None:
        """They are read back; a unit without errors has none, and a file that does not exist is missing input."""
        layer.commit(2, parts(1), extra={"model.safetensors": b"weights"}, inputs={"objects": "d1"}, started=0.0)
        assert layer.file(2, "model.safetensors") == b"weights"
        rows = layer.errors(1)
        assert rows is not None
        assert rows.to_pydict() == errors(2).to_arrow().to_pydict()
        assert layer.errors(0) is None
        assert layer.manifest(1).rows == {"parts": 5, "errors": 2}
        assert layer.manifest(2).inputs == {"objects": "d1"}
        with pytest.raises(InputMissing, match=r"model\.safetensors"):
            layer.file(0, "model.safetensors")

    def test_a_committed_unit_cannot_be_committed_again(self, layer: Layer) -> None:
        """The second attempt is refused and the content stays."""
        with pytest.raises(CommitConflict):
            layer.commit(1, parts(9))
        assert_equal(layer.read(1), parts(5, seed=1))

    def test_a_withdrawn_unit_can_be_committed_again(self, layer: Layer) -> None:
        """It is gone at once, its manifest is kept in ``withdrawn``, and new content takes its place."""
        old = layer.manifest(1)
        layer.withdraw(1)
        assert layer.units() == [0]
        with pytest.raises(InputMissing, match="unit 1.*pd stage run grouping"):
            layer.read(1)
        layer.commit(1, parts(2, seed=9))
        assert_equal(layer.read(1), parts(2, seed=9))
        kept = layer.store.files.read(layout.withdrawn("grouping", layer.fingerprint, 1, old.attempt))
        assert json.loads(kept)["attempt"] == old.attempt

    def test_what_was_withdrawn_since_it_was_listed_is_left_out(
        self, layer: Layer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Readers carry on while another process withdraws a unit."""
        monkeypatch.setattr(layer, "units", lambda: [0, 1])
        layer.withdraw(1)
        assert list(layer.manifests()) == [0]
        assert list(layer.manifests([0, 1])) == [0]

    def test_two_settings_are_two_layers(self, layer: Layer) -> None:
        """They exist side by side, and declaring one again gives the same layer."""
        other = new_layer(layer.store, k=5)
        again = new_layer(layer.store, k=4)
        assert other.units() == []
        assert again.units() == [0, 1]
        assert len(layer.store.layers("grouping")) == 2

    def test_a_layer_that_is_declared_is_written_once(self, layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Declaring it again needs no permission to write."""

        def refuse(*_: object) -> bool:
            raise AssertionError("nothing is to be written")

        monkeypatch.setattr(layer.store.files, "create", refuse)
        assert new_layer(layer.store, k=4).units() == [0, 1]

    def test_a_unit_is_claimed_by_one_worker(self, layer: Layer) -> None:
        """While one worker holds it another gets None, and everyone sees who works on it."""
        claim = layer.claim(7)
        assert claim is not None
        with claim:
            assert layer.claim(7) is None
            assert list(layer.leases()) == [7]
        assert layer.leases() == {}

    def test_no_rows_are_a_commit_too(self, layer: Layer) -> None:
        """A block in which nothing was found is done, too."""
        layer.commit(3, Rows.empty(PARTS))
        assert len(layer.read(3)) == 0
        assert 3 in layer.units()

    @pytest.mark.parametrize("name", ["rows.parquet", "data.zarr/zarr.json", "data.zarr/rle/c/0"])
    def test_a_missing_file_is_corrupt_data(self, layer: Layer, name: str) -> None:
        """It is never read as zeros: the error names the unit and what to do."""
        layer.store.files.remove(layer.manifest(0).place(name)[0])
        with pytest.raises(CorruptData, match="grouping unit 0.*pd verify --repair"):
            layer.read(0)

    def test_the_current_layers_are_those_of_the_pipeline(self, layer: Layer) -> None:
        """Before a pipeline is recorded there are none."""
        assert layer.store.current() == {}
        layer.store.files.write(layout.PIPELINE, json.dumps({"current": {"grouping": layer.fingerprint}}).encode())
        assert layer.store.current() == {"grouping": layer.fingerprint}


def test_any_flipped_bit_or_cut_is_noticed(tmp_path: Path) -> None:
    """Changing or cutting off any byte that a read needs is CorruptData, and never gives other rows."""
    layer = filled(str(tmp_path), units=[1])
    manifest = layer.manifest(1)
    needed = [n for n in sorted(manifest.files) if n.endswith((".parquet", "/0", "data.zarr/zarr.json", "/0/0"))]
    needed.remove("errors.parquet")
    assert len(needed) == 5

    @given(st.sampled_from(needed), st.integers(0, 2**20), st.integers(0, 7), st.booleans())
    def damage(name: str, place: int, bit: int, is_cut: bool) -> None:
        path = tmp_path / manifest.folder / name
        sound = path.read_bytes()
        place %= len(sound)
        flipped = bytearray(sound)
        flipped[place] ^= 1 << bit
        path.write_bytes(sound[:place] if is_cut else flipped)
        try:
            with pytest.raises(CorruptData, match="grouping unit 1"):
                layer.read(1)
        finally:
            path.write_bytes(sound)

    damage()
    assert_equal(layer.read(1), parts(5, seed=1))


@pytest.mark.parametrize("name", ["errors.parquet", "model.pt"])
def test_damaged_errors_and_extra_files_are_noticed(tmp_path: Path, name: str) -> None:
    """A truncated checkpoint is never loaded."""
    layer = new_layer(new_store(str(tmp_path)))
    manifest = layer.commit(0, parts(1), errors=errors(1), extra={"model.pt": b"weights"})
    path = tmp_path / manifest.folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptData, match=name):
        layer.errors(0) if name == "errors.parquet" else layer.file(0, name)


def test_the_same_rows_give_the_same_content(tmp_path: Path) -> None:
    """Two workers that compute the same block commit equal checksums."""
    made = [filled(str(tmp_path / name)).manifest(1) for name in ("a", "b")]
    assert made[0].content == made[1].content
    assert made[0].attempt != made[1].attempt


def test_a_killed_writer_leaves_no_block(tmp_path: Path) -> None:
    """No reader sees the files of an attempt that has no manifest."""
    layer = filled(str(tmp_path), units=[0])
    manifest = layer.manifest(0)
    (tmp_path / layout.commit("grouping", layer.fingerprint, 0)).unlink()
    fresh = Store(str(tmp_path)).layer("grouping", layer.fingerprint)
    assert (tmp_path / manifest.folder / "rows.parquet").exists()
    assert fresh.units() == []
    with pytest.raises(InputMissing):
        fresh.read(0)


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    """The message lists the columns of the table."""
    with pytest.raises(ValueError, match=r"no column \['scores'\].*'score'"):
        filled(str(tmp_path)).read(0, ["scores"])


def test_no_store_is_a_usage_error(tmp_path: Path) -> None:
    """For a folder, a file and a missing path alike, the message says how to make or name a store."""
    (tmp_path / "file").write_bytes(b"")
    for name in ("", "file", "nothing"):
        with pytest.raises(UsageError, match="there is no store here .no store.json.*pd init"):
            Store(str(tmp_path / name))


def test_a_node_that_never_ran_is_missing_input(tmp_path: Path) -> None:
    """The message says which command computes it."""
    layer = new_store(str(tmp_path)).layer("crf", "0123")
    with pytest.raises(InputMissing, match="crf: there is no output of crf yet. Run: pd stage run crf"):
        _ = layer.table
    assert layer.units() == []
