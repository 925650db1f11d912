from __future__ import annotations

import errno
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import pdstore.files
from pdstore import PdError, Store, layout
from pdstore.errors import InputMissing, PartlyFailed, Preempted, StaleSettings, StorageFailure, UsageError
from pdstore.lease import Lease
from schemas.tables import PARTS
from stages.nodes import crf
from stages.plan.project import Project
from stages.plan.states import node_state, states
from stages.run.options import RunOptions
from stages.run.outcome import Outcome
from stages.run.progress import Watch
from stages.run.runner import run_node


def run(
    store: Store, name: str, *overrides: str, should_stop: Callable[[], bool] = lambda: False, **options
) -> Outcome:
    return run_node(Project.open(store, overrides), name, RunOptions(**options), Watch(should_stop=should_stop))


def state(store: Store, name: str, *overrides: str):
    project = Project.open(store, overrides)
    return node_state(project, name)


def leases(store: Store, name: str) -> list[str]:
    return store.files.names(layout.leases(name, store.current()[name]))


class Flaky:
    """In place of the CRF: fails on the units named, the first so many times."""

    def __init__(self, units: set[int], times: int) -> None:
        self.units, self.left, self.tries = units, times, []

    def start(self, settings, setup):
        process = REAL(settings, setup)

        def run(unit):
            self.tries.append(unit.number)
            if unit.number in self.units and self.left > 0:
                self.left -= 1
                raise ZeroDivisionError("a fault in the stage")
            return process(unit)

        return run


REAL = crf.start


@pytest.fixture
def ready(grouped: Store) -> Store:
    """Four grouped blocks: what the CRF reads."""
    return grouped


def test_limit_computes_so_many_units_and_the_next_run_the_rest(ready: Store) -> None:
    """``limit`` bounds one run; what is missing stays missing until the next."""
    assert run(ready, "crf", limit=1).committed == [0]
    assert state(ready, "crf").word == "partly done"
    assert len(run(ready, "crf").committed) == 3
    assert run(ready, "crf").todo == []


def test_a_dry_run_says_what_would_run_and_writes_nothing(ready: Store) -> None:
    """``dry_run`` lists the units; no file of the store comes or changes."""
    before = {p: p.stat().st_mtime_ns for p in Path(ready.url).rglob("*")}
    report = run(ready, "crf", dry_run=True)
    assert report.todo == [0, 1, 2, 3] and report.committed == []
    assert {p: p.stat().st_mtime_ns for p in Path(ready.url).rglob("*")} == before


def test_a_unit_that_somebody_works_on_is_left_to_them(ready: Store) -> None:
    """A live lease makes another worker pass the unit over; once it is free, the unit is computed."""
    layer = ready.declare("crf", Project.open(ready)["crf"].identity, PARTS, "test")
    claim = layer.claim(2)
    assert claim is not None
    with claim:
        assert state(ready, "crf").running == [2]
        report = run(ready, "crf")
        assert report.held == [2] and sorted(report.committed) == [0, 1, 3]
    assert run(ready, "crf").committed == [2]


def test_waiting_for_others_ends_when_their_units_are_committed(ready: Store) -> None:
    """``wait`` stays until a held unit is there, and takes it over if its worker lets it go."""
    layer = ready.declare("crf", Project.open(ready)["crf"].identity, PARTS, "test")
    claim = layer.claim(1)
    assert claim is not None
    with claim:
        release = threading.Timer(0.3, lambda: claim.__exit__(None, None, None))
        release.start()
        report = run(ready, "crf", wait=True, poll_s=0.05)
        release.join()
    assert sorted(report.committed) == [0, 1, 2, 3] and report.held == []


@pytest.mark.parametrize(("host", "beat"), [("elsewhere", 1000.0), ("", time.time() + 50)])
def test_the_lease_of_a_dead_worker_is_taken_over(ready: Store, host: str, beat: float) -> None:
    """A lease without heartbeat, or of a process of this machine that is gone, does not block its unit."""
    import socket

    lease = Lease(host or socket.gethostname(), 2**22 + 1, beat, beat)
    path = layout.lease("crf", ready.current()["crf"], 0, 0)
    assert ready.files.create(path, json.dumps(vars(lease)).encode())
    report = run(ready, "crf")
    assert sorted(report.committed) == [0, 1, 2, 3] and report.held == []
    assert leases(ready, "crf") == []


def test_a_request_to_stop_ends_between_images(ready: Store) -> None:
    """Preempted keeps whole units only, leaves no lease, and the next run completes the node."""
    asked = iter(range(10**6))
    with pytest.raises(Preempted, match="stopped in unit 1, which is not committed"):
        run(ready, "crf", should_stop=lambda: next(asked) >= 6)
    partly = state(ready, "crf")
    assert partly.word == "partly done" and 0 < len(partly.done) < 4 and partly.failed == {}
    assert leases(ready, "crf") == []
    run(ready, "crf")
    assert state(ready, "crf").word == "done"


def test_a_fault_is_tried_again(ready: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that fails once is computed by the retry, and nothing is recorded as failed."""
    flaky = Flaky({1}, times=1)
    monkeypatch.setattr(crf, "start", flaky.start)
    report = run(ready, "crf", retries=1)
    assert sorted(report.committed) == [0, 1, 2, 3] and report.failed == {}
    assert flaky.tries.count(1) == 2


def test_a_lasting_fault_is_recorded_and_the_rest_is_committed(ready: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that keeps failing is PartlyFailed with its error, shows as failed, and a later success clears it."""
    flaky = Flaky({1}, times=4)
    monkeypatch.setattr(crf, "start", flaky.start)
    with pytest.raises(
        PartlyFailed, match=r"1 of 4 units failed; the first, unit 1: ZeroDivisionError: a fault in the stage"
    ):
        run(ready, "crf", retries=2)
    failed = state(ready, "crf")
    assert failed.word == "failed" and failed.done == [0, 2, 3]
    assert failed.failed == {1: "ZeroDivisionError: a fault in the stage"}
    assert leases(ready, "crf") == []
    # Neither does it matter which run has committed the rest.
    with pytest.raises(PartlyFailed, match="1 of 1 units failed"):
        run(ready, "crf", retries=0)
    assert run(ready, "crf").committed == [1]
    assert state(ready, "crf").word == "done" and state(ready, "crf").failed == {}


def test_nothing_but_failures_is_a_plain_failure(ready: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no unit could be computed the run has failed (exit code 1), not partly."""
    monkeypatch.setattr(crf, "start", Flaky({0, 1, 2, 3}, times=99).start)
    with pytest.raises(PdError, match="4 of 4 units failed") as caught:
        run(ready, "crf", retries=0)
    assert caught.value.exit_code == 1


def test_a_full_disk_commits_nothing(ready: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space: one StorageFailure with what to do, no unit committed, no lease left; with space again it completes."""
    real = pdstore.files._write_synced

    def full(path: str, data: bytes) -> None:
        if "/blocks/" in path:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(pdstore.files, "_write_synced", full)
        with pytest.raises(StorageFailure, match="no space left. Free some space and run the same command again"):
            run(ready, "crf")
    assert state(ready, "crf").done == [] and leases(ready, "crf") == []
    assert len(run(ready, "crf").committed) == 4


def test_changed_settings_over_existing_blocks_are_refused(ready: Store) -> None:
    """StaleSettings shows the difference and three ways on; with ``new_layer`` both layers stand side by side."""
    run(ready, "crf")
    old = ready.current()["crf"]
    with pytest.raises(StaleSettings) as caught:
        run(ready, "crf", "crf.gt_prob=0.8", "crf.iterations=3")
    text = str(caught.value)
    assert "gt_prob: 0.7 -> 0.8" in text and "iterations: 2 -> 3" in text and "bilateral" not in text
    assert "leave the settings" in text and "--new-layer" in text and f"pd gc --layer {old} --yes" in text
    assert "settings changed: crf.gt_prob: 0.7 -> 0.8" in state(ready, "crf", "crf.gt_prob=0.8").why
    assert len(run(ready, "crf", "crf.gt_prob=0.8", new_layer=True).committed) == 4
    assert sorted(layer.fingerprint for layer in ready.layers("crf") if layer.units()) == sorted(
        {old, Project.open(ready, ["crf.gt_prob=0.8"])["crf"].fingerprint}
    )
    assert len(ready.layer("crf", old).units()) == 4


def test_settings_that_change_no_result_are_no_new_layer(ready: Store) -> None:
    """Another batch size runs on in the same layer."""
    run(ready, "grouping", "grouping.batch_size=3")
    assert len(ready.layers("grouping")) == 1


def test_a_stage_without_its_input_says_what_to_run(classical: Callable[..., Store]) -> None:
    """Nothing of the input is there: the message names the node to run."""
    store = classical()
    with pytest.raises(InputMissing, match=r"its input ingest has no committed unit yet. Run: pd stage run ingest"):
        run(store, "detic")
    with pytest.raises(UsageError, match=r"'grouping'"):
        run(store, "groupin")


def test_blocks_wait_for_the_blocks_they_read(ready: Store) -> None:
    """A block node computes the blocks whose input is there, then says which wait for what."""
    run(ready, "crf", limit=2)
    store = ready
    assert run(store, "ranking", dry_run=False, allow_partial=True).committed == [0]
    waits = r"labels: the input of these units is not committed yet: 2, 3\. Run .*crf.* for them first"
    for _ in range(2):
        with pytest.raises(PartlyFailed, match=waits):
            run(store, "labels")
        assert state(store, "labels").done == [0, 1] and state(store, "labels").waiting == [2, 3]
    with pytest.raises(InputMissing, match=waits):
        run(store, "labels", dry_run=True)


def test_a_barrier_refuses_part_of_its_input(ready: Store) -> None:
    """Ranking asks for all of its input; --allow-partial takes what there is, which later shows as stale."""
    run(ready, "crf", limit=2)
    with pytest.raises(InputMissing, match=r"all 4 units of crf, of which 2 are missing \(2, 3\).*--allow-partial"):
        run(ready, "ranking")
    assert state(ready, "ranking").done == []
    assert run(ready, "ranking", allow_partial=True).committed == [0]
    assert state(ready, "ranking").word == "done"
    run(ready, "crf")
    assert state(ready, "ranking").word == "stale" and state(ready, "ranking").stale == [0]
    assert run(ready, "ranking").todo == []
    assert run(ready, "ranking", refresh=True, dry_run=True).todo == [0]
    assert run(ready, "ranking", refresh=True).committed == [0]
    assert state(ready, "ranking").word == "done"


def test_what_cannot_be_refreshed_stays(ready: Store) -> None:
    """--refresh of a barrier whose input is not complete again is refused, and the stale result is still there."""
    run(ready, "crf")
    run(ready, "ranking")
    ready.layer("crf", ready.current()["crf"]).withdraw(3)
    with pytest.raises(InputMissing, match="all 4 units of crf"):
        run(ready, "ranking", refresh=True)
    assert state(ready, "ranking").done == [0]


def test_a_shard_computes_its_own_units(ready: Store) -> None:
    """--shard 2/3 computes the units u with u mod 3 = 1 and no other."""
    from stages.plan.shard import Shard

    assert run(ready, "crf", shard=Shard(2, 3)).committed == [1]
    assert run(ready, "crf", shard=Shard(1, 3)).committed == [0, 3]


def test_a_finished_store_is_done_everywhere(finished: Store) -> None:
    """Every node of a finished pipeline is done, with nothing to compute and no reason to."""
    for one in states(Project.open(finished)):
        assert (one.word, one.missing, one.why, one.waiting) == ("done", [], "", [])
        assert one.to_dict()["state"] == "done"
