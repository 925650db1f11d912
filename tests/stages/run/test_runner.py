from __future__ import annotations

import errno
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import pdstore.files.local
from pdstore import PdError, Store, layout
from pdstore.errors import PartlyFailed, Preempted, StorageFailure
from pdstore.leases.owner import Owner, this_process
from pdstore.leases.record import LeaseRecord
from schemas.tables import PARTS
from stages.nodes import crf
from stages.plan.project import Project
from stages.plan.shard import Shard
from stages.run.options import RunOptions
from stages.run.progress import Silent, Watch
from stages.run.runner import run_pass
from tests.stages.run.commands import leases, run, state


class Flaky:
    """Replaces the CRF: fails on these units, for the first so many tries in all."""

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


def test_limit_computes_so_many_units_and_the_next_run_the_rest(ready: Store) -> None:
    """``limit`` bounds one run; what is missing stays missing until the next."""
    assert run(ready, "crf", limit=1).committed == [0]
    assert state(ready, "crf").word == "partly done"
    assert len(run(ready, "crf").committed) == 3
    assert run(ready, "crf").todo == []


def test_a_dry_run_says_what_would_run_and_writes_nothing(ready: Store) -> None:
    """``dry_run`` lists the units; no file of the store is created or changed."""
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
    """``wait`` stays until a held unit is committed, and takes it over if its worker releases it."""
    layer = ready.declare("crf", Project.open(ready)["crf"].identity, PARTS, "test")
    claim = layer.claim(1)
    assert claim is not None
    with claim:
        release = threading.Timer(0.3, lambda: claim.__exit__(None, None, None))
        release.start()
        report = run(ready, "crf", wait=True, poll_s=0.05)
        release.join()
    assert sorted(report.committed) == [0, 1, 2, 3] and report.held == []


@pytest.mark.parametrize("owner", [replace(this_process(), pid=2**22 + 1), Owner("elsewhere", 1, "another boot", "1")])
def test_the_lease_of_a_dead_worker_is_taken_over(ready: Store, owner: Owner) -> None:
    """One of this machine at once; one of another when all else is done and no heartbeat has come for so long."""
    path = layout.lease("crf", ready.current()["crf"], 0, 0)
    assert ready.files.create(path, LeaseRecord("beef", owner, 0.3).to_json(path))
    assert state(ready, "crf").running == ([] if owner.pid > 1 else [0])
    report = run(ready, "crf", poll_s=0.02)
    assert sorted(report.committed) == [0, 1, 2, 3] and report.held == []
    assert owner.pid > 1 or report.committed[-1] == 0
    assert leases(ready, "crf") == []


def test_a_run_does_not_wait_for_a_worker_that_it_has_seen_at_work(ready: Store) -> None:
    """Without ``wait`` it stays until it knows that the unit is in good hands: until the next heartbeat."""
    fingerprint = ready.current()["crf"]
    path, beat = layout.lease("crf", fingerprint, 2, 0), layout.beat("crf", fingerprint, 2, 0, "beef")
    assert ready.files.create(path, LeaseRecord("beef", Owner("elsewhere", 1, "another boot", "1"), 3600).to_json(path))
    progress, notes = Silent(), []

    def note(text: str) -> None:
        notes.append(text)
        ready.files.write(beat, b"1")

    progress.note = note  # type: ignore[method-assign]
    (report,) = run_pass(Project.open(ready), ["crf"], RunOptions(poll_s=0.02), Watch(progress))
    assert report.held == [2] and sorted(report.committed) == [0, 1, 3]
    assert notes == ["crf: 1 units are held by workers that may be dead: looking whether they are"]
    assert ready.files.exists(path) and ready.files.exists(beat)


def test_a_request_to_stop_ends_between_images(ready: Store) -> None:
    """Preempted keeps whole units only, leaves no lease, and the next run completes the node."""
    calls = iter(range(10**6))
    with pytest.raises(Preempted, match="stopped in unit 1, which is not committed"):
        run(ready, "crf", shard=Shard(1, 1), should_stop=lambda: next(calls) >= 6)
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
    # It is the same if another run has committed the rest.
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
    """Without space: one StorageFailure with a remedy, no unit, no lease; with space again the run completes."""
    real = pdstore.files.local.write_synced

    def full(path: str, data: bytes) -> None:
        if "/blocks/" in path:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(pdstore.files.local, "write_synced", full)
        with pytest.raises(StorageFailure, match="no space left. Free some space and run the same command again"):
            run(ready, "crf")
    assert state(ready, "crf").done == [] and leases(ready, "crf") == []
    assert len(run(ready, "crf").committed) == 4


def test_a_shard_computes_its_own_units(ready: Store) -> None:
    """--shard 2/3 computes the units u with u mod 3 = 1 and no others."""
    assert run(ready, "crf", shard=Shard(2, 3)).committed == [1]
    assert run(ready, "crf", shard=Shard(1, 3)).committed == [0, 3]
