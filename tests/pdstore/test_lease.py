from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pdstore.lease
from pdstore import layout
from pdstore.errors import StorageFailure
from pdstore.files import Files
from pdstore.lease import SEEN, TIME_TO_LIVE_S, Claim, Lease, claim, current_lease, is_alive, stray_beats
from pdstore.leases.owner import Owner, clock
from pdstore.leases.record import LeaseRecord
from pdstore.leases.sightings import Sightings
from tests.pdstore.conftest import Place

KEY = ("crf", "f00d", 5)
FIRST = layout.lease(*KEY, 0)


@pytest.fixture
def files(place: Place) -> Files:
    return Files(place.url, **place.options)


class Observer:
    """A process on another machine: what it has seen is its own, and so is its clock, which a test sets."""

    def __init__(self, files: Files, now: float = 0.0) -> None:
        self.files, self.now = files, now
        self.seen = Sightings(lambda: self.now)

    def claim(self) -> Claim | None:
        return claim(self.files, *KEY, seen=self.seen)

    def lease(self) -> Lease | None:
        return current_lease(self.files, *KEY[:2], seen=self.seen).get(KEY[2])

    def is_alive(self) -> bool:
        return is_alive(self.files, *KEY, seen=self.seen)


def elsewhere(files: Files, generation: int = 0, time_to_live_s: float = TIME_TO_LIVE_S) -> Claim:
    """A claim of a process of another machine; nothing follows from its number."""
    path = layout.lease(*KEY, generation)
    record = LeaseRecord("beef", Owner("elsewhere", 1, "another boot", "1"), time_to_live_s)
    assert files.create(path, record.to_json(path))
    return Claim(files, path, layout.beat(*KEY, generation, "beef"), record, clock())


def names(files: Files) -> list[str]:
    return files.names(layout.leases(*KEY[:2]))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextlib.contextmanager
def stopped_since(claim: Claim, seconds: float) -> Iterator[None]:
    """As if the process had been stopped for so long just now, and its machine's clock went on."""
    claim._alive_at -= seconds
    yield


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


def test_a_lease_expires_by_the_clock_of_who_looks(files: Files) -> None:
    """It is taken over once it was seen unchanged for its time to live, whatever the clock shows, and not before."""
    elsewhere(files)
    for observer in (Observer(files, -3e7), Observer(files, 3e7)):
        assert observer.claim() is None
        observer.now += TIME_TO_LIVE_S - 1
        assert observer.claim() is None
    observer.now += 1
    taken = observer.claim()
    assert taken is not None and names(files) == ["00005.1.json"]
    with taken:
        assert Observer(files).claim() is None
    assert names(files) == []


def test_a_heartbeat_is_a_sign_of_life(files: Files) -> None:
    """Each one makes the observers wait from then on; the file of the lease stays as it is."""
    theirs, observer = elsewhere(files, time_to_live_s=0.06), Observer(files)
    before, looks = files.read(FIRST), 0
    assert observer.claim() is None and not observer.is_alive()
    with theirs:
        mark = observer.seen.items()
        while looks < 3:
            observer.now += 0.05
            assert observer.claim() is None
            wait_for(lambda mark=mark: bool(observer.claim()) or observer.seen.items() != mark)  # type: ignore[misc]
            mark, looks = observer.seen.items(), looks + 1
        assert observer.is_alive() and files.read(FIRST) == before
        assert names(files) == ["00005.0.beef.beat", "00005.0.json"]
    assert names(files) == [] and observer.lease() is None and not observer.is_alive()


def test_a_holder_that_falls_silent_is_no_longer_known_to_live(files: Files) -> None:
    """What was seen of it holds for its time to live."""
    elsewhere(files)
    beat, observer = layout.beat(*KEY, 0, "beef"), Observer(files)
    assert observer.claim() is None and not observer.is_alive()
    files.write(beat, b"1")
    observer.now += 50
    assert observer.claim() is None and observer.is_alive()
    observer.now += TIME_TO_LIVE_S - 1
    assert observer.claim() is None and observer.is_alive()
    observer.now += 1
    lease = observer.lease()
    assert lease is not None and lease.is_expired and not observer.is_alive()
    assert lease.unchanged_s == TIME_TO_LIVE_S and lease.host == "elsewhere"
    assert observer.claim() is not None and names(files) == ["00005.1.json"]


def test_a_lease_says_how_long_it_holds(files: Files) -> None:
    """Its holder's heartbeats come by that time, so an observer with another one waits for it."""
    elsewhere(files, time_to_live_s=1000)
    observer = Observer(files)
    assert observer.claim() is None
    observer.now += 999
    assert observer.claim() is None
    observer.now += 1
    assert observer.claim() is not None


def test_an_observer_that_is_stopped_while_it_reads_waits_on(files: Files) -> None:
    """What it read may be as old as its stop; the shortest time that is possible counts."""
    elsewhere(files)
    observer, read = Observer(files), files.read

    def slow(path: str) -> bytes:
        data = read(path)
        observer.now += 1000
        return data

    files.read = slow  # type: ignore[method-assign]
    assert observer.claim() is None
    assert observer.claim() is None
    files.read = read  # type: ignore[method-assign]
    assert observer.claim() is not None


@pytest.mark.parametrize("is_held", [True, False])
def test_a_late_beat_revives_nothing(files: Files, is_held: bool) -> None:
    """A worker that was stopped beats once more after it has lost its unit, whether somebody holds that or nobody."""
    late, observer = elsewhere(files, time_to_live_s=0.06), Observer(files)
    observer.claim()
    observer.now += 0.06
    new = observer.claim()
    assert new is not None
    new.start()
    if not is_held:
        new.release()
    # As if it had been stopped between its look at its lease and the write.
    late._is_ours = lambda: True  # type: ignore[method-assign]
    late.start()
    wait_for(lambda: "00005.0.beef.beat" in names(files))
    lease = observer.lease()
    if is_held:
        assert lease is not None and lease.generation == 1 and lease.host == socket.gethostname()
        assert observer.claim() is None and stray_beats(files, *KEY[:2]) == []
        new.release()
    else:
        assert lease is None
        assert stray_beats(files, *KEY[:2]) == [layout.beat(*KEY, 0, "beef")]
    free = observer.claim()
    assert free is not None
    with free:
        assert observer.claim() is None
    del late._is_ours
    late.release()
    assert names(files) == []


def test_a_worker_that_was_stopped_learns_that_it_has_lost_its_unit(files: Files) -> None:
    """It beats no more, and its release leaves the lease of whoever came after, even of the same generation."""
    late = elsewhere(files, time_to_live_s=0.06)
    files.remove(FIRST)
    new = claim(files, *KEY)
    assert new is not None
    with stopped_since(late, 1000), new:
        late.start()
        late._thread.join(120)
        assert not late._thread.is_alive() and names(files) == ["00005.0.json"]
        late.release()
        assert names(files) == ["00005.0.json"]
    assert names(files) == []


def test_a_worker_that_was_stopped_and_not_missed_goes_on(files: Files) -> None:
    """If nobody has taken its unit over it beats again, and frees the unit in the end."""
    late = elsewhere(files, time_to_live_s=0.06)
    with stopped_since(late, 1000), late:
        wait_for(lambda: len(names(files)) == 2)
    assert names(files) == []


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


@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname()])
@pytest.mark.parametrize("clock_s", [-3e7, -600.0, 600.0, 3e7])
def test_the_lease_of_an_earlier_release_is_honoured(host: str, clock_s: float) -> None:
    """Its heartbeats change the lease file. They count as signs of life, and what its clock shows does not."""
    files = Files("memory://earlier")
    files.remove_tree(layout.leases(*KEY[:2]))
    observer = Observer(files)

    def beat(number: float) -> None:
        now = time.time() + clock_s + number
        files.write(FIRST, json.dumps({"host": host, "pid": 2**22 + 1, "beat": now, "started": 1.0}).encode())

    beat(0)
    for number in range(1, 5):
        assert observer.claim() is None
        observer.now += TIME_TO_LIVE_S - 1
        beat(number)
    assert observer.claim() is None and observer.is_alive()
    observer.now += TIME_TO_LIVE_S
    assert observer.claim() is not None and names(files) == ["00005.1.json"]


def nonsense() -> dict[str, bytes]:
    record = LeaseRecord.new(TIME_TO_LIVE_S)
    whole = record.to_json(FIRST)
    other = json.dumps(json.loads(whole) | {"format": 3}).encode()
    flipped = bytearray(whole)
    flipped[whole.index(b'"pid":') + 6] ^= 1
    moved = record.to_json(layout.lease("crf", "f00d", 6, 0))
    damaged = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "flipped": bytes(flipped),
        "moved": moved,
        "newer": other,
    }
    kinds = {"list": b"[1]", "number": b"7", "nothing": b"{}", "binary": bytes(range(256)), "deep": b"[" * 200_000}
    return damaged | kinds | {"huge": b'{"host":"a","pid":1e999,"beat":1,"started":1}'}


@pytest.mark.parametrize("kind", nonsense())
def test_a_lease_of_nonsense_is_nobodys(kind: str) -> None:
    """It is taken over after the same wait, as a live worker's may have been damaged; a heartbeat makes it wait on."""
    files = Files("memory://damaged")
    files.remove_tree(layout.leases(*KEY[:2]))
    files.write(FIRST, nonsense()[kind])
    observer = Observer(files)
    assert observer.claim() is None
    lease = observer.lease()
    assert lease is not None and not lease.is_gone and not lease.is_alive
    observer.now += TIME_TO_LIVE_S - 1
    files.write(layout.beat(*KEY, 0, "beef"), b"4")
    assert observer.claim() is None
    observer.now += TIME_TO_LIVE_S
    assert observer.claim() is not None and names(files) == ["00005.1.json"]


def test_names_of_nonsense_are_passed_over(files: Files) -> None:
    """A file that somebody put beside the leases is the lease of no unit."""
    for name in ("notes.txt", "00005", "x.0.json", "00005.x.json", "-1.0.json"):
        files.write(f"{layout.leases(*KEY[:2])}/{name}", b"?")
    assert current_lease(files, *KEY[:2]) == {} and stray_beats(files, *KEY[:2]) == []
    ours = claim(files, *KEY)
    assert ours is not None and list(current_lease(files, *KEY[:2])) == [5]


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


def test_a_unit_that_ends_soon_costs_three_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing, a create and a removal; one more request for each heartbeat after the first 40 seconds."""
    files, asked = Files("memory://requests"), []
    files.remove_tree("leases")
    for name in ("names", "read", "write", "create", "remove", "exists", "read_many"):
        method = getattr(files, name)
        monkeypatch.setattr(files, name, lambda *a, name=name, method=method: (asked.append(name), method(*a))[1])
    ours = claim(files, *KEY)
    assert ours is not None
    with ours:
        pass
    assert asked == ["names", "create", "remove"]
    assert 2 * TIME_TO_LIVE_S / pdstore.lease.BEATS == 40


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
