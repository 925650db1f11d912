"""Nodes that are computed in one pass: each commits what it would commit alone, whatever happens on the way."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import stages.block
from pdstore import Store
from pdstore.errors import PartlyFailed, Preempted
from schemas.catalog import catalog_of
from schemas.pipeline import PipelineSpec, SourceSpec
from stages.create.store import create_store
from stages.nodes import detic
from stages.plan.project import Project
from stages.plan.shard import Shard
from stages.run.options import RunOptions
from stages.run.outcome import Outcome
from stages.run.progress import Silent, Watch
from stages.run.runner import run_node, run_pass
from tests.stages.conftest import contents, photographs
from tests.stages.run.commands import leases, run, state

PAIR = ["detic", "sure"]
SPEC = PipelineSpec.parse(
    {
        "block_size": 3,
        "nodes": {
            "ingest": {},
            "detic": {"inputs": {"images": "ingest"}, "settings": {"backend": "saliency"}},
            # Above the score of about half of the pictures.
            "sure": {
                "stage": "detic",
                "inputs": {"images": "ingest"},
                "settings": {"backend": "saliency", "min_score": 0.785},
            },
        },
    },
    "pipeline",
)
LAST_WORDS = """
import os, sys
from pdstore import Store
from stages.plan.project import Project
from stages.plan.shard import Shard
from stages.run.ledger import Ledger
from stages.run.options import RunOptions
from stages.run.runner import run_pass
real = Ledger.commit
def commit(ledger, computed, started):
    if (ledger.node, computed.unit.number) == ("sure", 1):
        os._exit(9)
    real(ledger, computed, started)
Ledger.commit = commit
run_pass(Project.open(Store(sys.argv[1])), ["detic", "sure"], RunOptions(shard=Shard(1, 1), max_error_rate=1.0))
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Twelve photographs in four blocks, read but not yet searched for objects. Never write to it."""
    folder = tmp_path_factory.mktemp("one_pass")
    store = create_store(str(folder / "store"), SourceSpec(root=str(photographs(folder / "images"))), SPEC)
    run(store, "ingest")
    return store


@pytest.fixture(scope="module")
def alone(images: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, str]]:
    """What the two nodes commit, each in a run of its own."""
    store = copied(images, tmp_path_factory.mktemp("alone"))
    for name in PAIR:
        run_node(Project.open(store), name, RunOptions(max_error_rate=1.0))
    return contents(store, PAIR)


@pytest.fixture
def pair(images: Store, tmp_path: Path) -> Store:
    return copied(images, tmp_path)


def copied(store: Store, folder: Path) -> Store:
    return Store(str(shutil.copytree(store.url, folder / "store")))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[str]]]:
    """What the stage has computed: the unit and the nodes it was computed for, in the order of the work."""
    work, real = [], detic._run

    def recorded(askers, units):
        work.append((units[0].number, [unit.node for unit in units]))
        return real(askers, units)

    monkeypatch.setattr(detic, "_run", recorded)
    return work


def both(store: Store, should_stop: Callable[[], bool] = lambda: False, **options) -> list[Outcome]:
    given = RunOptions(**{"max_error_rate": 1.0, "shard": Shard(1, 1), **options})
    return run_pass(Project.open(store), PAIR, given, Watch(should_stop=should_stop))


def test_every_picture_is_decoded_once_and_each_node_commits_its_own(
    pair: Store, alone, computed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, error rows and files are equal, to the byte, to those of two runs; the nodes differ from each other."""
    decoded, real = [], stages.block.decode
    monkeypatch.setattr(stages.block, "decode", lambda *data, **frame: decoded.append(1) or real(*data, **frame))
    outcomes = both(pair)
    assert contents(pair, PAIR) == alone
    assert computed == [(unit, PAIR) for unit in range(4)] and len(decoded) == 12
    assert [outcome.committed for outcome in outcomes] == [[0, 1, 2, 3]] * 2
    assert outcomes[0].rejected == 0 < outcomes[1].rejected < outcomes[1].images == 12
    assert leases(pair, "detic") == leases(pair, "sure") == []


def test_only_what_is_missing_is_computed(pair: Store, alone, computed) -> None:
    """A unit that one of the nodes has committed is computed for the other alone; whatever both lack, for both."""
    run(pair, "detic", shard=Shard(2, 4), max_error_rate=1.0)
    run(pair, "sure", shard=Shard(1, 4), max_error_rate=1.0)
    computed.clear()
    assert [outcome.committed for outcome in both(pair)] == [[0, 2, 3], [1, 2, 3]]
    assert computed == [(0, ["detic"]), (1, ["sure"]), (2, PAIR), (3, PAIR)]
    assert contents(pair, PAIR) == alone
    computed.clear()
    assert [outcome.todo for outcome in both(pair)] == [[], []] and computed == []


@pytest.mark.parametrize("held", PAIR)
def test_a_unit_that_somebody_holds_for_one_node_is_computed_for_the_other(pair: Store, computed, held: str) -> None:
    """A claim of another worker concerns its node alone."""
    other = PAIR[held == "detic"]
    claim = Project.open(pair).layer(held).claim(2)
    assert claim is not None
    with claim:
        outcomes = {outcome.node: outcome for outcome in both(pair)}
    assert outcomes[held].held == [2] and outcomes[held].committed == [0, 1, 3]
    assert outcomes[other].held == [] and outcomes[other].committed == [0, 1, 2, 3]
    computed.clear()
    both(pair)
    assert computed == [(2, [held])]


def test_a_kill_between_two_commits_loses_nothing(pair: Store, alone, computed) -> None:
    """The next run computes the unit for the node that had not committed it, and all ends as without the kill."""
    assert subprocess.run([sys.executable, "-c", LAST_WORDS, pair.url], check=False).returncode == 9
    assert (state(pair, "detic").done, state(pair, "sure").done) == ([0, 1], [0])
    assert leases(pair, "detic") and leases(pair, "sure")
    both(pair)
    assert computed == [(1, ["sure"]), (2, PAIR), (3, PAIR)]
    assert contents(pair, PAIR) == alone


def test_a_damaged_picture_is_an_error_row_of_each_node(classical: Callable[..., Store], folder: Path) -> None:
    """It counts as left out in both outcomes."""
    store = classical(spec=SPEC)
    run(store, "ingest")
    listed = Project.open(store).listing.read(0)[0]
    (folder / listed.key).write_bytes(b"no picture")
    outcomes = both(store, limit=1)
    query = f"SELECT node, reason FROM errors WHERE image_id = {listed.image_id} ORDER BY 1"
    rows = catalog_of(store).query(query).to_pylist()
    assert rows == [{"node": node, "reason": "changed"} for node in PAIR]
    assert all(outcome.rejected >= 1 for outcome in outcomes)


def test_a_fault_fails_the_unit_of_each_node(pair: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, then recorded for both nodes; the other units are committed, and a later run clears it."""
    real, tries = detic._run, []

    def faulty(askers, units):
        tries.append(units[0].number)
        if units[0].number == 1:
            raise ZeroDivisionError("a fault in the stage")
        return real(askers, units)

    with monkeypatch.context() as patched:
        patched.setattr(detic, "_run", faulty)
        with pytest.raises(PartlyFailed, match="detic: 1 of 4 units failed; the first, unit 1: ZeroDivisionError"):
            both(pair, retries=1)
    assert tries == [0, 1, 1, 2, 3]
    for name in PAIR:
        assert state(pair, name).failed == {1: "ZeroDivisionError: a fault in the stage"}
        assert state(pair, name).done == [0, 2, 3] and leases(pair, name) == []
    both(pair)
    assert all(state(pair, name).word == "done" for name in PAIR)


def test_a_request_to_stop_ends_both(pair: Store) -> None:
    """Whole units are kept, no claim is, and the error names both nodes."""
    calls = iter(range(10**6))
    with pytest.raises(Preempted, match="stopped in unit 1|stopped with 2 of 8 units committed"):
        both(pair, should_stop=lambda: next(calls) >= 6)
    for name in PAIR:
        assert state(pair, name).done == [0] and leases(pair, name) == []


def test_progress_names_the_nodes_and_counts_a_picture_once(pair: Store) -> None:
    """One title, one count: a unit is done when it is committed for both."""
    events: list[object] = []

    class Recorded(Silent):
        def start(self, node: str, units: int, done: int, images_per_unit: float) -> None:
            events.append((node, units, images_per_unit))

        def advance(self, images: int) -> None:
            events.append("image")

        def unit_done(self, unit: int) -> None:
            done = [state(pair, name).done for name in PAIR]
            assert all(unit in units for units in done)
            events.append("unit")

    run(pair, "sure", limit=1, max_error_rate=1.0)
    run_pass(Project.open(pair), PAIR, RunOptions(max_error_rate=1.0), Watch(Recorded()))
    assert events[0] == ("detic + sure", 4, 3) and events.count("image") == 12 and events.count("unit") == 4
    events.clear()
    shutil.rmtree(Path(pair.url, "layers", "sure"))
    run_pass(Project.open(pair), PAIR, RunOptions(max_error_rate=1.0), Watch(Recorded()))
    assert events[0] == ("sure", 4, 3)
