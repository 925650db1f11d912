from __future__ import annotations

import json
from pathlib import Path

import pytest

from pdstore import Layer, Store, layout
from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.index.reader import Commits, IndexReader
from pdstore.verify import repair, verify
from tests.pdstore.conftest import Place
from tests.pdstore.example import errors, filled, new_layer, parts


def reader(layer: Layer) -> IndexReader:
    """A reader that has read nothing yet, as in a new process."""
    return IndexReader(layer.store.files, layer.node, layer.fingerprint)


def attempts(commits: Commits) -> dict[int, str]:
    return commits.by_unit("attempt")


def by_manifests(layer: Layer) -> dict[int, str]:
    """What the manifests alone say: the reference."""
    return {
        unit: manifest.attempt
        for unit, manifest in Layer(layer.store, layer.node, layer.fingerprint).manifests().items()
    }


def loose(layer: Layer) -> list[int]:
    units: list[int] = reader(layer).commits().loose.column("unit")
    return units


class TestContract:
    """What is committed, wherever the store is."""

    @pytest.fixture
    def layer(self, place: Place) -> Layer:
        layer = filled(place.url, units=range(4), **place.options)
        layer.compact(everything=True)
        return layer

    def test_units_are_answered_from_the_index(self, layer: Layer) -> None:
        """Those that it holds; a commit after it is read from its manifest."""
        assert loose(layer) == []
        layer.commit(7, parts(2), inputs={"images": "ab"})
        assert loose(layer) == [7]
        commits = reader(layer).commits()
        assert attempts(commits) == by_manifests(layer) and len(commits) == 5
        assert commits.by_unit("rows") == {0: 4, 1: 5, 2: 6, 3: 7, 7: 2}
        assert commits.inputs() == {"images": {7: "ab"}}

    def test_a_unit_that_was_computed_again_is_not_answered_from_it(self, layer: Layer) -> None:
        """Neither after it was withdrawn, nor after it was committed again; one reader notices it as it goes."""
        watching = reader(layer)
        assert len(watching.commits()) == 4
        layer.withdraw(1)
        assert sorted(watching.commits().units) == [0, 2, 3]
        layer.commit(1, parts(3, seed=9))
        assert attempts(watching.commits()) == attempts(reader(layer).commits()) == by_manifests(layer)
        assert loose(layer) == [1]

    def test_a_damaged_manifest_that_was_repaired_leaves_no_old_entry(self, layer: Layer) -> None:
        """The name of the attempt is lost with the manifest; the entry of the index counts no more all the same."""
        layer.store.files.write(layout.commit(layer.node, layer.fingerprint, 2), b"{")
        for damage in [item for item in verify(layer.store) if item]:
            repair(layer.store, damage)
        assert sorted(reader(layer).commits().units) == [0, 1, 3]
        layer.commit(2, parts(1, seed=5))
        assert attempts(reader(layer).commits()) == by_manifests(layer)
        assert reader(layer).commits().by_unit("rows")[2] == 1

    def test_commits_that_were_deleted_by_hand_are_noticed(self, layer: Layer) -> None:
        """All that was committed is committed again under other attempts, of which the index knows nothing."""
        layer.store.files.remove_tree(layout.commits(layer.node, layer.fingerprint))
        assert len(reader(layer).commits()) == 0
        for unit in range(4):
            layer.commit(unit, parts(1, seed=unit))
        assert attempts(reader(layer).commits()) == by_manifests(layer)
        assert set(reader(layer).commits().column("rows")) == {1}

    def test_without_the_index_nothing_is_lost(self, layer: Layer) -> None:
        """It is derived: the manifests say the same."""
        before = reader(layer).commits()
        layer.store.files.remove_tree(layout.index(layer.node, layer.fingerprint))
        after = reader(layer).commits()
        assert after.gathered == () and len(before.gathered) == 1
        assert after.table().sort_by("unit").equals(before.table().sort_by("unit"))

    @pytest.mark.parametrize("content", [b"", b"not an index", b"0" * 400])
    def test_a_damaged_index_file_is_left_out(
        self, layer: Layer, content: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With a note that names the file and the repair; the manifests are read."""
        layer.store.files.write(layout.index_file(layer.node, layer.fingerprint, 0), content)
        assert attempts(reader(layer).commits()) == by_manifests(layer)
        assert "00000.arrow is left out" in caplog.text and "pd verify --repair" in caplog.text


class Counted(Files):
    """Counts what is read."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.paths: list[str] = []

    def read(self, path: str) -> bytes:
        self.paths.append(path)
        return super().read(path)


def test_nothing_is_read_twice(tmp_path: Path) -> None:
    """Index files and manifests are read at the first look; a second look reads what is new."""
    layer = filled(str(tmp_path), units=range(3))
    layer.compact(everything=True)
    layer.commit(3, parts(1))
    store = Store(str(tmp_path))
    store.files = counted = Counted(str(tmp_path))

    def names() -> list[str]:
        # The note of a complete layer is looked for until it is there.
        return [path.rsplit("/", 1)[-1] for path in counted.paths if not path.endswith("complete.json")]

    for _ in range(2):
        assert len(store.layer(layer.node, layer.fingerprint).commits()) == 4
    assert names() == ["00000.arrow", "00003.json"]
    layer.commit(4, parts(1))
    assert len(store.layer(layer.node, layer.fingerprint).commits()) == 5
    assert names() == ["00000.arrow", "00003.json", "00004.json"]


def test_names_with_a_dot_in_front_are_nobodys(tmp_path: Path) -> None:
    """What NFS, a desktop or a killed process leaves in the folders of a layer is no commit and no attempt."""
    layer = filled(str(tmp_path), units=range(3))
    for folder in (layout.commits(layer.node, layer.fingerprint), layout.attempts(layer.node, layer.fingerprint)):
        for name in (".nfs0000017", "._00001.json", ".tmp-00ab", ".DS_Store"):
            (tmp_path / folder / name).write_bytes(b"")
    assert attempts(reader(layer).commits()) == by_manifests(layer)
    layer.compact(everything=True)
    assert loose(layer) == [] and attempts(reader(layer).commits()) == by_manifests(layer)


def test_a_unit_with_two_attempts_is_read_from_its_manifest(tmp_path: Path) -> None:
    """A killed worker has left another attempt: only the manifest says which of them counts."""
    layer = filled(str(tmp_path))
    layer.compact(everything=True)
    (tmp_path / layout.attempt(layer.node, layer.fingerprint, 1, "dead")).mkdir()
    assert loose(layer) == [1]
    assert attempts(reader(layer).commits()) == by_manifests(layer)


def test_a_damaged_manifest_that_must_be_read_is_an_error(tmp_path: Path) -> None:
    """As without an index; one that the index holds need not be read."""
    layer = filled(str(tmp_path))
    layer.compact(everything=True)
    layer.commit(2, parts(1), errors=errors(1))
    path = tmp_path / layout.commit(layer.node, layer.fingerprint, 2)
    path.write_text(json.dumps({"format": 1}))
    with pytest.raises(CorruptData, match="not a manifest"):
        reader(layer).commits()


def test_the_higher_number_counts(tmp_path: Path) -> None:
    """Where two files hold the same units, those of the later one are taken, and no unit is counted twice."""
    layer = filled(str(tmp_path), units=range(3))
    layer.compact(everything=True)
    layer.commit(3, parts(1))
    layer.compact(everything=True)
    commits = reader(layer).commits()
    assert [source.file and source.file.number for source in commits.gathered] == [1]
    layer.store.files.remove(layout.index_file(layer.node, layer.fingerprint, 1))
    commits = reader(layer).commits()
    assert [len(source) for source in commits.gathered] == [3] and commits.loose.column("unit") == [3]


def test_an_empty_layer_has_no_commits(tmp_path: Path) -> None:
    """Nothing is listed that is not there."""
    commits = new_layer(filled(str(tmp_path)).store, k=9).commits()
    assert (len(commits), commits.units, commits.inputs(), commits.table().num_rows) == (0, [], {}, 0)


def test_an_entry_says_which_files_its_attempt_has(tmp_path: Path) -> None:
    """Those of the attempts that count; what gathers them is known of the index alone."""
    layer = filled(str(tmp_path))
    layer.compact(everything=True)
    layer.commit(2, parts(3), errors=errors(1))
    layer.withdraw(0)
    (gathered,), loose = layer.commits().gathered, layer.commits().loose
    assert gathered.file is not None
    assert (gathered.row_file("rows.parquet"), gathered.row_file("errors.parquet")) == (
        gathered.file.rows,
        gathered.file.errors,
    )
    assert loose.row_file("rows.parquet") is None and loose.row_file("errors.parquet") is None
    own = {unit: layout.attempt_name(unit, layer.manifest(unit).attempt) for unit in (1, 2)}
    assert gathered.attempts_with("rows.parquet") == gathered.attempts_with("errors.parquet") == {1: own[1]}
    assert loose.attempts_with("rows.parquet") == loose.attempts_with("errors.parquet") == {2: own[2]}
