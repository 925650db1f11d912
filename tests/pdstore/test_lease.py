from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import pdstore.lease
from pdstore.errors import StorageFailure
from pdstore.files import Files
from pdstore.lease import SEEN, TIME_TO_LIVE_S, claim, current_lease, is_alive
from pdstore.leases.sightings import Sightings
from tests.pdstore.conftest import Place
from tests.pdstore.leases.observer import KEY, Observer, elsewhere, names, wait_for


@pytest.fixture
def files(place: Place) -> Files:
    return Files(place.url, **place.options)


def test_a_unit_is_claimed_by_one_worker(files: Files) -> None:
    """While the claim is held nobody else gets the unit; afterwards it is free and no file is left."""
    ours = claim(files, *KEY)
    assert ours is not None
    with ours:
        assert claim(files, *KEY) is None
        lease = current_lease(files, "crf", "f00d")[5]
        assert (lease.host, lease.pid, lease.generation) == (socket.gethostname(), os.getpid(), 0)
        assert lease.is_alive and not lease.is_expired
    assert current_lease(files, "crf", "f00d") == {} and names(files) == []


def test_the_lease_of_a_dead_process_of_this_machine_has_expired(tmp_path: Path) -> None:
    """A process that was killed here is not waited for."""
    files = Files(str(tmp_path))
    program = f"""from pdstore.files import Files
from pdstore.lease import claim
import sys
assert claim(Files({files.url!r}), *{KEY!r}) is not None
print("held", flush=True)
sys.stdin.read()"""
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    observer = Observer(files)
    assert observer.claim() is None and observer.is_alive()
    process.kill()
    # Until it is waited for, its number exists.
    wait_for(lambda: (lease := observer.lease()) is not None and lease.is_gone)
    process.communicate()
    lease = observer.lease()
    assert lease is not None and lease.is_gone and lease.is_expired and lease.pid == process.pid
    assert observer.claim() is not None


def test_a_container_of_the_same_host_name_is_another_machine(tmp_path: Path) -> None:
    """Its processes have other numbers: what is not among ours may be alive, and is waited for."""
    program = f"""from pdstore.files import Files
from pdstore.lease import claim
import os
assert claim(Files({str(tmp_path)!r}), *{KEY!r}) is not None
print(os.getpid())"""
    # Processes of their own, and nothing else: the host name is ours.
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", sys.executable, "-c", program]
    try:
        made = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if "unshare" in made.stderr:
        pytest.skip(f"no namespaces here: {made.stderr.strip()}")
    assert made.stdout == "1\n", made.stderr
    observer = Observer(Files(str(tmp_path)))
    assert observer.claim() is None
    lease = observer.lease()
    assert lease is not None and (lease.host, lease.pid) == (socket.gethostname(), 1)
    assert not lease.is_gone and not lease.is_alive
    observer.now += TIME_TO_LIVE_S
    assert observer.claim() is not None


def test_an_expired_lease_goes_to_one_of_many(files: Files) -> None:
    """Of eight threads that see the same expired lease, exactly one takes it over."""
    elsewhere(files)
    observer = Observer(files)
    observer.claim()
    observer.now += TIME_TO_LIVE_S
    barrier, won = threading.Barrier(8), []

    def run() -> None:
        barrier.wait()
        won.append(observer.claim())

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(claim is not None for claim in won) == 1
    assert names(files) == ["00005.1.json"]


def test_a_lease_that_is_released_while_one_looks_is_left(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the listing and the reading somebody else may have come: the next look finds out."""
    theirs = elsewhere(files)
    theirs.start()
    read = files.read

    def released(path: str) -> bytes:
        theirs.release()
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "read", released)
        assert claim(files, *KEY) is None
    assert not is_alive(files, *KEY)
    assert claim(files, *KEY) is not None


def test_a_lost_answer_is_no_lost_claim(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the lease was stored and the answer did not arrive, the unit is ours."""
    create = files.create

    def lost(path: str, data: bytes) -> bool:
        create(path, data)
        raise ConnectionResetError("answer lost")

    monkeypatch.setattr(files, "create", lost)
    assert claim(files, *KEY) is not None and names(files) == ["00005.0.json"]


def test_a_full_disk_does_not_end_the_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a heartbeat that cannot be written the next one follows, and leaving hides no other error."""
    files = Files("memory://full")
    files.remove_tree("leases")
    beats = threading.Semaphore(0)

    def refuse(path: str, data: bytes = b"") -> None:
        beats.release()
        raise StorageFailure("there is no space left")

    ours = elsewhere(files, time_to_live_s=0.06)
    monkeypatch.setattr(files, "write", refuse)
    monkeypatch.setattr(files, "remove", refuse)

    def work() -> None:
        with ours:
            assert beats.acquire(timeout=120)
            assert beats.acquire(timeout=120)
            raise KeyError

    with pytest.raises(KeyError):
        work()


def test_a_unit_that_ends_soon_costs_two_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A create and a removal, and at most one listing a minute; one more for each heartbeat after 40 seconds."""
    now = 0.0
    files, asked, seen = Files("memory://requests"), [], Sightings(lambda: now)
    files.remove_tree("leases")
    for name in ("names", "read", "write", "create", "remove", "exists", "read_many"):
        method = getattr(files, name)
        monkeypatch.setattr(files, name, lambda *a, name=name, method=method: (asked.append(name), method(*a))[1])

    def asked_for(unit: int) -> list[str]:
        asked.clear()
        ours = claim(files, *KEY[:2], unit, seen=seen)
        assert ours is not None
        with ours:
            pass
        return list(asked)

    assert asked_for(5) == ["names", "create", "remove"]
    assert asked_for(6) == asked_for(5) == ["create", "remove"]
    now = TIME_TO_LIVE_S / 2 + 1
    assert asked_for(7) == ["names", "create", "remove"]
    assert 2 * TIME_TO_LIVE_S / pdstore.lease.BEATS == 40


def test_an_old_listing_hides_no_lease() -> None:
    """A lease that came since is met by the claim, seen at the next look, and taken over once it has expired."""
    now = 0.0
    files, ours, theirs = Files("memory://old"), Sightings(lambda: now), Sightings()
    files.remove_tree("leases")
    first = claim(files, *KEY[:2], 4, seen=ours)
    other = claim(files, *KEY, seen=theirs)
    assert first is not None and other is not None
    assert claim(files, *KEY, seen=ours) is None and not ours.items()
    assert claim(files, *KEY, seen=ours) is None and len(ours.items()) == 1
    now = TIME_TO_LIVE_S + 1
    assert claim(files, *KEY, seen=ours) is not None


def test_a_unit_is_free_after_release(files: Files) -> None:
    """Whoever comes next claims it; the same claim cannot be started again."""
    ours = claim(files, *KEY)
    assert ours is not None
    ours.start()
    assert claim(files, *KEY) is None
    ours.release()
    with pytest.raises(RuntimeError):
        ours.start()
    other = claim(files, *KEY)
    assert other is not None
    with other:
        assert current_lease(files, *KEY[:2])[5].is_alive
    assert current_lease(files, *KEY[:2]) == {}
    assert not any(key.startswith(f"{files.root}#") for key in SEEN.items())
