"""Leases: which worker computes which unit, so that no work is done twice.

A lease is a create-only file ``<unit>.<generation>.json`` that never changes; its holder sends heartbeats to a file of
its own beside it, whose name has the token of the lease. The highest generation counts. An expired lease is taken over
by creating the next generation, and what its holder may still write then goes to a file that nobody heeds.

No clock is compared with another: a lease has expired if nothing about it has changed for its time to live, by the
clock of whoever looks and since it looked first, or at once if its holder was a process of the same machine that has
ended. Leases only save work: the manifest decides who wins.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pdstore import layout
from pdstore.errors import StorageFailure
from pdstore.files import Files
from pdstore.leases.owner import clock
from pdstore.leases.record import LeaseRecord
from pdstore.leases.sightings import Sightings

__all__ = ["SEEN", "Claim", "Lease", "claim", "current_lease", "is_alive", "stray_beats"]

TIME_TO_LIVE_S = 120.0
BEATS = 6
"""Heartbeats within the time to live: one that is lost does no harm."""
SEEN = Sightings()
"""What this process has seen."""


@dataclass(frozen=True)
class Lease:
    """What is known here of the lease of a unit.

    Attributes:
        files: its files, and what earlier holders of the unit left; paths in the store, in the order in which they can
            be deleted: the lease is unchanged until its own file is gone.
        host, pid: the process that holds it; empty and 0 if its file is damaged.
        unchanged_s: for how long it has been seen unchanged from this machine, in seconds.
        time_to_live_s: for how long it may be unchanged.
        is_gone: its holder was a process of this machine and has ended.
        is_alive: its holder is a process of this machine, or was seen at work within the time to live.
    """

    generation: int
    files: Sequence[str]
    host: str
    pid: int
    unchanged_s: float
    time_to_live_s: float
    is_gone: bool
    is_alive: bool

    @property
    def is_expired(self) -> bool:
        """True if the unit may be taken over."""
        return self.is_gone or self.unchanged_s >= self.time_to_live_s


class Claim:
    """A lease held by this process. From :meth:`start` to :meth:`release` a thread sends heartbeats.

    As a context manager it starts on entry and is released on exit.
    """

    def __init__(self, files: Files, path: str, beat_path: str, record: LeaseRecord, began: float) -> None:
        self._files, self._path, self._beat_path = files, path, beat_path
        self._data, self._time_to_live_s = record.to_json(path), record.time_to_live_s or TIME_TO_LIVE_S
        # When the last sign of life was begun to be written.
        self._alive_at = began
        self._has_beaten = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name=f"lease {path}")

    def start(self) -> None:
        """Begin to send heartbeats."""
        self._thread.start()

    def release(self) -> None:
        """Stop the heartbeats and give the unit back, if nobody has taken it over."""
        self._stop.set()
        self._thread.join()
        # A lease that cannot be removed will expire: leaving must not hide the error that caused it.
        with contextlib.suppress(OSError, StorageFailure):
            if self._has_beaten:
                self._files.remove(self._beat_path)
        with contextlib.suppress(OSError, StorageFailure):
            if self._is_ours():
                self._files.remove(self._path)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _beat(self) -> None:
        pause, number = self._time_to_live_s / BEATS, 0
        # The file of the lease is the first sign of life, so that most units end without a heartbeat.
        wait = 2 * pause
        while not self._stop.wait(wait):
            wait, number, began = pause, number + 1, clock()
            # If one heartbeat is lost, the next comes well before the lease expires.
            with contextlib.suppress(OSError, StorageFailure):
                if not self._is_ours():
                    return
                self._has_beaten = True
                self._files.write(self._beat_path, str(number).encode())
                self._alive_at = began

    def _is_ours(self) -> bool:
        """False if the unit was taken over, which can only be after a silence; so the file is seldom read."""
        if clock() - self._alive_at < self._time_to_live_s / 2:
            return True
        try:
            return self._files.read(self._path) == self._data
        except FileNotFoundError:
            return False


def claim(files: Files, node: str, fingerprint: str, unit: int, *, seen: Sightings = SEEN) -> Claim | None:
    """Claim a unit. None if a live worker holds it, or one that may be alive."""
    names = _names(files, node, fingerprint, unit, seen)
    generation, lease = _newest(files, node, fingerprint, unit, names, seen)
    # One that was released between the listing and the reading may have been followed by another.
    if generation >= 0 and (lease is None or not lease.is_expired):
        return None
    record, began = LeaseRecord.new(TIME_TO_LIVE_S), clock()
    path = layout.lease(node, fingerprint, unit, generation + 1)
    if not files.create_own(path, record.to_json(path)):
        seen.forget_listing(_folder(files, node, fingerprint))
        return None
    seen.forget(_key(files, node, fingerprint, unit))
    # What cannot be removed is of a lower generation, and counts for nothing while this one is held.
    with contextlib.suppress(OSError, StorageFailure):
        for name in names:
            files.remove(f"{layout.leases(node, fingerprint)}/{name}")
    return Claim(files, path, layout.beat(node, fingerprint, unit, generation + 1, record.token), record, began)


def is_alive(files: Files, node: str, fingerprint: str, unit: int, *, seen: Sightings = SEEN) -> bool:
    """True if the holder of the unit was found at work when this process looked last; nothing is read for it."""
    return seen.is_alive(_key(files, node, fingerprint, unit))


def current_lease(files: Files, node: str, fingerprint: str, *, seen: Sightings = SEEN) -> dict[int, Lease]:
    """Unit -> its lease, for every unit that has one, expired or not."""
    units = sorted(_by_unit(files, node, fingerprint).items())
    seen.keep(_folder(files, node, fingerprint), {_key(files, node, fingerprint, unit) for unit, _ in units})
    leases = {unit: _newest(files, node, fingerprint, unit, names, seen)[1] for unit, names in units}
    return {unit: lease for unit, lease in leases.items() if lease is not None}


def stray_beats(files: Files, node: str, fingerprint: str) -> list[str]:
    """The files of heartbeats of units that have no lease: of workers that were stopped, and lost it meanwhile."""
    units = _by_unit(files, node, fingerprint).values()
    stray = [name for names in units if not any(map(_is_lease, names)) for name in names]
    return [f"{layout.leases(node, fingerprint)}/{name}" for name in stray]


def _names(files: Files, node: str, fingerprint: str, unit: int, seen: Sightings) -> list[str]:
    """The names of the files of a unit's leases.

    In an object store a listing is a request, so an earlier one is believed where it shows no lease of the unit: one
    that came since is in the way of a claim. It may be followed by another one, and that one missed, only after the
    time to live, or on the machine of a worker that was killed: then two compute the unit, and one commits it.
    """
    folder = _folder(files, node, fingerprint)
    if not files.is_local and unit not in seen.listed(folder, TIME_TO_LIVE_S / 2, otherwise={unit}):
        return []
    looked, units = seen.clock(), _by_unit(files, node, fingerprint)
    seen.note_listing(folder, looked, units)
    return units.get(unit, [])


def _by_unit(files: Files, node: str, fingerprint: str) -> dict[int, list[str]]:
    """Unit -> the names of the files of its leases, of any generation."""
    units: dict[int, list[str]] = defaultdict(list)
    for name in files.names(layout.leases(node, fingerprint)):
        unit, _, rest = name.partition(".")
        if unit.isdecimal() and rest.partition(".")[0].isdecimal():
            units[int(unit)].append(name)
    return units


def _newest(
    files: Files, node: str, fingerprint: str, unit: int, names: Sequence[str], seen: Sightings
) -> tuple[int, Lease | None]:
    """The highest generation, and its lease: (-1, None) if there is none, and None if it was released since."""
    key, folder = _key(files, node, fingerprint, unit), layout.leases(node, fingerprint)
    generation = max((_generation(name) for name in names if _is_lease(name)), default=-1)
    if generation < 0:
        seen.forget(key)
        return -1, None
    path, looked = layout.lease(node, fingerprint, unit, generation), seen.clock()
    try:
        data = files.read(path)
    except FileNotFoundError:
        seen.forget(key)
        return generation, None
    record = LeaseRecord.from_json(data, path)
    # A file that cannot be read may be a live worker's all the same: any heartbeat of its generation counts.
    beats = [name for name in names if name.startswith(f"{unit:05d}.{generation}.") and not _is_lease(name)]
    if record is not None:
        own = layout.beat(node, fingerprint, unit, generation, record.token)
        beats = [name for name in beats if f"{folder}/{name}" == own]
    mark = hashlib.sha256(b"%d %d " % (generation, len(data)) + data)
    for name in beats:
        with contextlib.suppress(FileNotFoundError):
            mark.update(files.read(f"{folder}/{name}"))
    sighting, unchanged_s = seen.note(key, mark.hexdigest(), looked)
    owner = record.owner if record is not None else None
    time_to_live_s = (record.time_to_live_s if record is not None else None) or TIME_TO_LIVE_S
    lease = Lease(
        generation,
        [f"{folder}/{name}" for name in sorted(names, key=lambda name: (not _is_lease(name), _generation(name)))],
        owner.host if owner is not None else "",
        owner.pid if owner is not None else 0,
        unchanged_s,
        time_to_live_s,
        is_gone=owner is not None and owner.is_gone(),
        is_alive=(owner is not None and owner.is_alive()) or (sighting.has_changed and unchanged_s < time_to_live_s),
    )
    seen.judge(key, lease.is_alive and not lease.is_expired)
    return generation, lease


def _generation(name: str) -> int:
    return int(name.split(".")[1])


def _is_lease(name: str) -> bool:
    """True for the file of a lease, False for one of heartbeats."""
    return name.endswith(".json")


def _key(files: Files, node: str, fingerprint: str, unit: int) -> str:
    return f"{_folder(files, node, fingerprint)}{unit:05d}"


def _folder(files: Files, node: str, fingerprint: str) -> str:
    return f"{files.root}#{layout.leases(node, fingerprint)}/"
