from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pdstore import Layer, layout
from pdstore.errors import StorageFailure
from pdstore.files import Files
from pdstore.index import compaction
from pdstore.index.reader import Commits, IndexReader
from pdstore.index.rowfiles import UNIT
from pdstore.verify import verify
from tests.pdstore.conftest import Place
from tests.pdstore.example import errors, filled, new_layer, new_store, parts


def commits_of(layer: Layer) -> Commits:
    return IndexReader(layer.store.files, layer.node, layer.fingerprint).commits()


def gathered_rows(layer: Layer) -> dict[int, list[dict[str, Any]]]:
    """Unit -> its rows, from the files of the index alone."""
    found: dict[int, list[dict[str, Any]]] = {}
    for source in commits_of(layer).gathered:
        assert source.file is not None
        live, rows = set(source.column("unit")), source.file.rows
        found |= {unit: [] for unit in live}
        if rows is not None:
            for row in pq.read_table(layer.store.files.full(rows.path)).to_pylist():
                if (unit := row.pop(UNIT)) in live:
                    found[unit].append(row)
    return found


def index_files(layer: Layer) -> list[str]:
    return layer.store.files.names(layout.index(layer.node, layer.fingerprint))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of 4 units become files of 12."""
    monkeypatch.setattr(compaction, "RUN_UNITS", 4)
    monkeypatch.setattr(compaction, "FAN", 3)
    monkeypatch.setattr(compaction, "LARGE_UNITS", 12)
    monkeypatch.setattr(compaction, "UNITS_PER_READ", 3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.usefixtures("small")
def test_the_index_holds_what_the_blocks_hold(tmp_path: Path, seed: int) -> None:
    """Whatever was committed, withdrawn and gathered in which order: each unit once, with the rows of its block."""
    rng, layer = np.random.default_rng(seed), new_layer(new_store(str(tmp_path)))
    committed: set[int] = set()
    for step in range(45):
        unit = int(rng.integers(0, 40))
        if unit in committed and rng.random() < 0.4:
            layer.withdraw(unit)
            committed.discard(unit)
        elif unit not in committed:
            left_out = errors(int(rng.integers(0, 3)))
            layer.commit(unit, parts(int(rng.integers(0, 5)), seed=step), errors=left_out)
            committed.add(unit)
        if rng.random() < 0.2:
            layer.compact(everything=bool(rng.random() < 0.3))
    layer.compact(everything=True)
    commits, rows = commits_of(layer), gathered_rows(layer)
    assert sorted(commits.units) == sorted(committed) == layer.units()
    assert len(commits.loose) < 2
    for unit in set(layer.units()) & rows.keys():
        assert rows[unit] == layer.read(unit, [c.name for c in layer.table.scalars]).to_arrow().to_pylist()
    manifests = Layer(layer.store, layer.node, layer.fingerprint).manifests()
    assert commits.by_unit("attempt") == {unit: manifest.attempt for unit, manifest in manifests.items()}
    assert commits.by_unit("content") == {unit: manifest.content for unit, manifest in manifests.items()}
    assert commits.by_unit("errors") == {unit: manifest.rows.get("errors", 0) for unit, manifest in manifests.items()}


@pytest.mark.usefixtures("small")
def test_small_files_become_a_large_one(tmp_path: Path) -> None:
    """Too few commits are left; enough of them become a file; enough files become one, and the number stays small."""
    layer = new_layer(new_store(str(tmp_path)))
    sizes = []
    for unit in reversed(range(32)):
        layer.commit(unit, parts(1, seed=unit))
        layer.compact()
        sizes.append([len(source) for source in commits_of(layer).gathered])
    assert sizes[2] == [] and sizes[3] == [4] and sizes[7] == [4, 4]
    assert sizes[11] == [12] and sizes[15] == [4, 12] and sizes[31] == [4, 4, 12, 12]
    layer.compact(everything=True)
    assert sorted(len(source) for source in commits_of(layer).gathered) == [8, 12, 12]
    assert layer.compact(everything=True).added == ()


@pytest.mark.usefixtures("small")
def test_a_large_file_is_written_again_without_the_units_that_no_longer_count(tmp_path: Path) -> None:
    """By ``everything`` alone: then SQL need not filter its rows; files of which all units count stay."""
    layer = filled(str(tmp_path), units=range(24))
    layer.compact(everything=True)
    layer.withdraw(3)
    layer.commit(3, parts(2, seed=9))
    assert layer.compact().added == ()
    assert [source.live is None for source in commits_of(layer).gathered] == [True, False]
    assert layer.compact(everything=True).units == 12
    assert [(len(source), source.live) for source in commits_of(layer).gathered] == [(12, None), (12, None)]
    assert gathered_rows(layer)[3] == parts(2, seed=9).to_arrow().to_pylist()


class TestContract:
    """Gathering, wherever the store is."""

    @pytest.fixture
    def layer(self, place: Place) -> Layer:
        return filled(place.url, units=range(4), **place.options)

    def test_what_was_gathered_is_said(self, layer: Layer) -> None:
        """How many units, in which files; a second time there is nothing to do."""
        made = layer.compact(everything=True)
        assert (made.units, made.added, made.files, made.left_out) == (4, (0,), 1, ())
        again = layer.compact(everything=True)
        assert (again.units, again.added, again.files) == (0, (), 1)
        assert layer.compact().added == ()
        kinds = [name.split(".", 1)[1] for name in index_files(layer)]
        assert sorted(kind.split(".")[-2] if "." in kind else kind for kind in kinds) == ["arrow", "errors", "rows"]

    def test_the_slower_of_two_workers_leaves_nothing(self, layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both gather the same; the second finds the number taken, and its rows are removed."""
        create = Files.create

        def overtaken(files: Files, path: str, data: bytes) -> bool:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Files, "create", create)
                assert layer.compact(everything=True).added == (0,)
            return create(files, path, data)

        monkeypatch.setattr(Files, "create", overtaken)
        assert layer.compact(everything=True).added == ()
        assert len(index_files(layer)) == 3 and len(commits_of(layer).gathered) == 1

    def test_a_full_disk_leaves_nothing(self, layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error is raised, and no file is left behind; the next try succeeds."""

        def full(files: Files, path: str, data: bytes) -> bool:
            raise StorageFailure("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(Files, "create", full)
            with pytest.raises(StorageFailure, match="full"):
                layer.compact(everything=True)
        assert index_files(layer) == []
        assert layer.compact(everything=True).units == 4

    def test_a_file_that_a_failed_call_created_keeps_its_rows(
        self, layer: Layer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The call fails once the file has its name: it counts, so its rows stay."""
        create = Files.create

        def lose_answer(files: Files, path: str, data: bytes) -> bool:
            create(files, path, data)
            raise StorageFailure("no answer")

        with monkeypatch.context() as patch:
            patch.setattr(Files, "create_own", lose_answer)
            with pytest.raises(StorageFailure, match="no answer"):
                layer.compact(everything=True)
        assert len(commits_of(layer).gathered) == 1 and [item for item in verify(layer.store) if item] == []


@pytest.mark.parametrize("name", ["rows.parquet", "errors.parquet"])
@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_a_damaged_block_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, fault: str) -> None:
    """Its unit stays as it is, for ``pd verify`` to find; all others are gathered."""
    layer = filled(str(tmp_path), units=range(4))
    path = tmp_path / layer.manifest(1).folder / name
    path.unlink() if fault == "gone" else path.write_bytes(path.read_bytes()[:-1] + b"?")
    made = layer.compact(everything=True)
    assert (made.units, made.left_out) == (3, (1,)) and "unit 1 is left out" in caplog.text
    assert commits_of(layer).loose.column("unit") == [1]
    assert sorted(gathered_rows(layer)) == [0, 2, 3] and len(index_files(layer)) == 2


def test_damaged_gathered_rows_are_made_again_from_the_blocks(tmp_path: Path) -> None:
    """They are compared with their digest before they become part of a larger file."""
    layer = filled(str(tmp_path), units=range(3))
    layer.compact(everything=True)
    (source,) = commits_of(layer).gathered
    assert source.file is not None and source.file.rows is not None
    rows = tmp_path / source.file.rows.path
    data = bytearray(rows.read_bytes())
    data[40] ^= 1
    rows.write_bytes(data)
    layer.commit(3, parts(2, seed=3))
    layer.compact(everything=True)
    for unit, found in gathered_rows(layer).items():
        assert found == parts(4 + unit if unit < 3 else 2, seed=unit).to_arrow().to_pylist()


def test_what_replaces_a_unit_meanwhile_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that is withdrawn and committed again while its layer is gathered is left for the next time."""
    layer = filled(str(tmp_path), units=range(3))
    planned = compaction._planned

    def replaced(commits: Commits, everything: bool) -> list[list[int]]:
        layer.withdraw(2)
        layer.commit(2, parts(1, seed=8))
        return planned(commits, everything)

    monkeypatch.setattr(compaction, "_planned", replaced)
    assert layer.compact(everything=True).left_out == (2,)
    assert sorted(gathered_rows(layer)) == [0, 1] and commits_of(layer).loose.column("rows") == [1]
