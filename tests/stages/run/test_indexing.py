from __future__ import annotations

from pathlib import Path

import pytest

from pdstore import Layer, layout
from pdstore.errors import StorageFailure
from pdstore.index import compaction
from pdstore.lease import claim
from stages.run import indexing
from stages.run.indexing import Indexing
from tests.pdstore.example import filled, parts


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layer:
    """An empty layer. A worker looks after every second commit, and gathers four."""
    monkeypatch.setattr(indexing, "CHECK_EVERY", 2)
    for module in (indexing, compaction):
        monkeypatch.setattr(module, "RUN_UNITS", 4)
    return filled(str(tmp_path), units=[])


def commit(layer: Layer, unit: int, *workers: Indexing) -> None:
    layer.commit(unit, parts(1, seed=unit))
    for worker in workers:
        worker.committed()


def gathered(layer: Layer) -> list[int]:
    return [len(source) for source in layer.commits().gathered]


def test_new_commits_are_gathered_behind_the_work(layer: Layer) -> None:
    """Once there are enough of them, whoever has made them; not before."""
    notes: list[str] = []
    worker = Indexing(layer, notes.append)
    for unit in (8, 9):
        commit(layer, unit)
    commit(layer, 0, worker)
    assert gathered(layer) == []
    commit(layer, 1, worker)
    assert gathered(layer) == [4]
    for unit in range(2, 6):
        commit(layer, unit, worker)
    assert gathered(layer) == [4, 4] and notes == []


def test_a_complete_layer_is_gathered_whole(layer: Layer) -> None:
    """At the end of the run that has completed it; not one that is incomplete or small, nor without own commits."""
    worker = Indexing(layer, lambda text: None)
    worker.finish(6)
    for unit in range(6):
        commit(layer, unit, worker)
    assert gathered(layer) == [4]
    worker.finish(7)
    Indexing(layer, lambda text: None).finish(6)
    assert gathered(layer) == [4]
    worker.finish(6)
    assert gathered(layer) == [6]


def test_a_small_layer_gets_no_index(layer: Layer) -> None:
    """Its few manifests are read as fast."""
    worker = Indexing(layer, lambda text: None)
    for unit in range(3):
        commit(layer, unit, worker)
    worker.finish(3)
    assert layer.store.files.names(layout.index(layer.node, layer.fingerprint)) == []


def test_only_one_worker_gathers(layer: Layer) -> None:
    """While another holds the lease the commits are left to it."""
    held = claim(layer.store.files, layer.node, layout.indexer(layer.fingerprint), 0)
    assert held is not None
    worker = Indexing(layer, lambda text: None)
    with held:
        for unit in range(4):
            commit(layer, unit, worker)
        assert gathered(layer) == []
    for unit in (4, 5):
        commit(layer, unit, worker)
    assert gathered(layer) == [6]


def test_a_fault_does_not_end_the_run(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noted; the commits stay, and the next look tries again."""

    def full(*args: object, **kwargs: object) -> None:
        raise StorageFailure("the disk is full")

    notes: list[str] = []
    worker = Indexing(layer, notes.append)
    with monkeypatch.context() as patch:
        patch.setattr(Layer, "compact", full)
        for unit in range(4):
            commit(layer, unit, worker)
    assert len(notes) == 1 and "grouping: its commits were not gathered: the disk is full" in notes[0]
    for unit in (4, 5):
        commit(layer, unit, worker)
    assert gathered(layer) == [6]
