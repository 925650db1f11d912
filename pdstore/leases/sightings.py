"""What this process has seen of leases. No clock of another machine is read: only how long nothing has changed here."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

__all__ = ["Sighting", "Sightings"]


@dataclass(frozen=True)
class Sighting:
    """What was seen of one lease.

    Attributes:
        mark: stands for its content: whatever its holder does changes it.
        since: when it was first seen so, in seconds of the clock of :class:`Sightings`.
        has_changed: it was seen otherwise before: somebody was at work then.
    """

    mark: str
    since: float
    has_changed: bool = False


class Sightings:
    """Lease -> when it was last seen to change. Threads may share it.

    Args:
        clock: seconds; never set back, and the same for all processes since the machine was started.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._seen: dict[str, Sighting] = {}
        self._alive: set[str] = set()
        self._listings: dict[str, tuple[float, Collection[int]]] = {}
        self._lock = threading.Lock()

    def note(self, lease: str, mark: str, looked: float) -> tuple[Sighting, float]:
        """Note what was read of a lease.

        Args:
            lease: a name for it.
            looked: what the clock showed *before* the lease was read.

        Returns:
            What is known of it, and for how many seconds it has been unchanged.
        """
        with self._lock:
            before = self._seen.get(lease)
            if before is not None and before.mark == mark:
                # A process may be stopped between two lines: the shortest time that is possible counts.
                return before, max(0.0, looked - before.since)
            now = Sighting(mark, self.clock(), before is not None)
            self._seen[lease] = now
            return now, 0.0

    def judge(self, lease: str, is_alive: bool) -> None:
        """Note whether its holder was found at work by the look that was just noted."""
        with self._lock:
            (self._alive.add if is_alive else self._alive.discard)(lease)

    def is_alive(self, lease: str) -> bool:
        """What was last judged; False if nothing was."""
        with self._lock:
            return lease in self._alive

    def forget(self, lease: str) -> None:
        """Nobody holds it any more."""
        with self._lock:
            self._seen.pop(lease, None)
            self._alive.discard(lease)

    def keep(self, beginning: str, leases: set[str]) -> None:
        """Forget all whose names begin with this, but for these."""
        for lease in self.items().keys() - leases:
            if lease.startswith(beginning):
                self.forget(lease)

    def note_listing(self, folder: str, looked: float, units: Collection[int]) -> None:
        """Note which units of a folder have a lease; ``looked`` is what the clock showed *before* it was listed."""
        with self._lock:
            self._listings[folder] = (looked, frozenset(units))

    def forget_listing(self, folder: str) -> None:
        """It was found to be old."""
        with self._lock:
            self._listings.pop(folder, None)

    def listed(self, folder: str, seconds: float, *, otherwise: Collection[int]) -> Collection[int]:
        """The units of the last listing of a folder; ``otherwise`` if that is older than this, or there was none."""
        with self._lock:
            looked, units = self._listings.get(folder, (-math.inf, otherwise))
            return units if self.clock() - looked <= seconds else otherwise

    def items(self) -> dict[str, Sighting]:
        with self._lock:
            return dict(self._seen)

    def recall(self, lease: str, sighting: Sighting) -> None:
        """Take over what another process of this machine has seen, unless this one has seen the lease itself."""
        with self._lock:
            self._seen.setdefault(lease, sighting)
