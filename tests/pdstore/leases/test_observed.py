"""Leases of other machines: what those who look at them make of heartbeats, silence, clocks and damage."""

from __future__ import annotations

import json
import socket
import time

import pytest

from pdstore import layout
from pdstore.files import Files
from pdstore.lease import TIME_TO_LIVE_S, claim, current_lease, stray_beats
from pdstore.leases.record import LeaseRecord
from tests.pdstore.conftest import Place
from tests.pdstore.leases.observer import FIRST, KEY, Observer, elsewhere, names, stopped_since, wait_for


@pytest.fixture
def files(place: Place) -> Files:
    return Files(place.url, **place.options)


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
