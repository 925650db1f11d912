"""Holders of leases on other machines, and those who look at them, for the tests of leases."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from pdstore import layout
from pdstore.files import Files
from pdstore.lease import TIME_TO_LIVE_S, Claim, Lease, claim, current_lease, is_alive
from pdstore.leases.owner import Owner, clock
from pdstore.leases.record import LeaseRecord
from pdstore.leases.sightings import Sightings

__all__ = ["FIRST", "KEY", "Observer", "elsewhere", "names", "stopped_since", "wait_for"]

KEY = ("crf", "f00d", 5)
FIRST = layout.lease(*KEY, 0)


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
