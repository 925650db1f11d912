from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from pdstore import layout
from pdstore.errors import StorageFailure
from pdstore.files import Files
from pdstore.lease import Claim, Lease, claim, current_lease
from tests.pdstore.conftest import Place


@pytest.fixture
def files(place: Place) -> Files:
    return Files(place.url, **place.options)


def held(files: Files, unit: int = 5) -> Lease | None:
    return current_lease(files, "crf", "f00d").get(unit)


def taken(files: Files, **options: Any) -> Claim | None:
    return claim(files, "crf", "f00d", 5, **options)


def test_a_unit_is_claimed_by_one_worker(files: Files) -> None:
    """While the claim is held nobody else gets the unit; afterwards it is free and no file is left."""
    ours = taken(files)
    assert ours is not None
    with ours:
        assert taken(files) is None
        lease = held(files)
        assert lease is not None
        assert (lease.host, lease.pid) == (socket.gethostname(), os.getpid())
    assert held(files) is None
    assert files.names("leases/crf/f00d") == []


def test_an_expired_lease_is_taken_over(files: Files) -> None:
    """A worker that was silent for too long loses its unit, and its late release does not free the unit."""
    slow, now = taken(files), time.time()
    assert slow is not None
    assert taken(files, clock=lambda: now + 100) is None
    quick = taken(files, clock=lambda: now + 1000)
    assert quick is not None
    with quick:
        slow.__enter__()
        slow.__exit__(None, None, None)
        assert taken(files, clock=lambda: now + 1001) is None


def test_the_lease_of_a_dead_process_of_this_host_has_expired(files: Files) -> None:
    """A process that was killed on this host is not waited for; one on another host is."""
    gone = int(subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True).stdout)
    now = time.time()
    assert Lease(socket.gethostname(), gone, now, now).is_expired(now)
    assert not Lease("elsewhere", gone, now, now).is_expired(now)
    assert not Lease(socket.gethostname(), 1, now, now).is_expired(now)
    assert Lease("elsewhere", 1, now - 121, now).is_expired(now)


def test_a_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it may not be signalled, it exists."""

    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not Lease(socket.gethostname(), 1, 0, 0).is_expired(1)


def test_an_expired_lease_goes_to_one_of_many(files: Files) -> None:
    """Of eight threads that see the same expired lease, exactly one takes it over."""
    stale = Lease("elsewhere", 1, 0, 0)
    files.create(layout.lease("crf", "f00d", 5, 0), json.dumps(vars(stale)).encode())
    barrier, won = threading.Barrier(8), []

    def run() -> None:
        barrier.wait()
        won.append(taken(files))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(claim is not None for claim in won) == 1
    assert files.names("leases/crf/f00d") == ["00005.1.json"]


def test_a_heartbeat_keeps_a_lease_young() -> None:
    """While the lease is held, its heartbeat advances and its start does not."""
    files = Files("memory://beat")
    lease = Lease(socket.gethostname(), os.getpid(), 1.0, 1.0)
    path = layout.lease("crf", "f00d", 5, 0)
    with Claim(files, path, lease, heartbeat_s=0.01):
        deadline = time.time() + 10
        while not files.exists(path) and time.time() < deadline:
            time.sleep(0.005)
        beaten = held(files)
    assert beaten is not None
    assert beaten.beat > time.time() - 60
    assert beaten.started == 1.0
    assert held(files) is None


def test_a_full_disk_does_not_end_the_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a heartbeat that cannot be written the next one follows, and leaving hides no other error."""
    files = Files("memory://full")
    beats = threading.Semaphore(0)

    def refuse(path: str, data: bytes = b"") -> None:
        beats.release()
        raise StorageFailure("there is no space left")

    monkeypatch.setattr(files, "write", refuse)
    monkeypatch.setattr(files, "remove", refuse)
    lease = Lease(socket.gethostname(), os.getpid(), 1.0, 1.0)

    def work() -> None:
        with Claim(files, "x", lease, heartbeat_s=0.01):
            assert beats.acquire(timeout=10)
            assert beats.acquire(timeout=10)
            raise KeyError

    with pytest.raises(KeyError):
        work()


@pytest.mark.parametrize("data", [b"", b"{}", b"half of a le"])
def test_a_damaged_lease_holds_nothing(data: bytes) -> None:
    """Its unit can be claimed at once."""
    files = Files("memory://damaged")
    files.write(layout.lease("crf", "f00d", 5, 2), data)
    ours = taken(files)
    assert ours is not None
    with ours:
        assert files.names("leases/crf/f00d") == ["00005.3.json"]


def test_a_claim_beats_from_start_to_release() -> None:
    """Before its start a claim holds the unit without heartbeats; release ends them and frees the unit."""
    files = Files("memory://started")
    ours = taken(files)
    assert ours is not None
    before = held(files)
    assert before is not None
    quick = Claim(files, layout.lease("crf", "f00d", 5, 0), before, heartbeat_s=0.01)
    quick.start()
    deadline = time.time() + 10
    while held(files) == before and time.time() < deadline:
        time.sleep(0.005)
    beating = held(files)
    assert beating is not None and beating.beat > before.beat and beating.started == before.started
    quick.release()
    time.sleep(0.05)
    assert held(files) is None and files.names("leases/crf/f00d") == []


def test_a_unit_is_free_after_release(files: Files) -> None:
    """Whoever comes next claims it; the same claim cannot be started again."""
    ours = taken(files)
    assert ours is not None
    ours.start()
    assert taken(files) is None
    ours.release()
    with pytest.raises(RuntimeError):
        ours.start()
    other = taken(files)
    assert other is not None
    with other:
        assert held(files) is not None
    assert held(files) is None
