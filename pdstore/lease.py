"""Leases: which worker computes which unit, so that no work is done twice.

A lease is a create-only file ``<unit>.<generation>.json`` with a heartbeat. The highest generation counts; an
expired lease is taken over by creating the next generation. Leases only save work: the manifest decides who wins.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

from pdstore import layout
from pdstore.errors import StorageFailure
from pdstore.files import Files

__all__ = ["Claim", "Lease", "claim", "current_lease"]

TIME_TO_LIVE_S = 120.0
HEARTBEAT_S = 20.0


@dataclass(frozen=True)
class Lease:
    """The content of a lease file. ``beat`` is the last heartbeat, seconds since 1970."""

    host: str
    pid: int
    beat: float
    started: float

    def is_expired(self, now: float, time_to_live_s: float = TIME_TO_LIVE_S) -> bool:
        """True if the owner has been silent for too long, or was a process on this host that is gone."""
        if self.host == socket.gethostname() and not _is_alive(self.pid):
            return True
        return now - self.beat > time_to_live_s


class Claim:
    """A lease held by this process. From :meth:`start` to :meth:`release` a thread sends heartbeats.

    As a context manager it starts on entry and is released on exit.
    """

    def __init__(self, files: Files, path: str, lease: Lease, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._files, self._path, self._lease, self._heartbeat_s = files, path, lease, heartbeat_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name=f"lease {path}")

    def start(self) -> None:
        """Begin to send heartbeats."""
        self._thread.start()

    def release(self) -> None:
        """Stop the heartbeats and give the unit back."""
        self._stop.set()
        self._thread.join()
        # A lease that cannot be removed will expire: leaving must not hide the error that caused it.
        with contextlib.suppress(OSError, StorageFailure):
            self._files.remove(self._path)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _beat(self) -> None:
        while not self._stop.wait(self._heartbeat_s):
            fresh = Lease(self._lease.host, self._lease.pid, time.time(), self._lease.started)
            # If one heartbeat is lost, the next comes well before the lease expires.
            with contextlib.suppress(OSError, StorageFailure):
                self._files.write(self._path, _to_json(fresh))


def claim(
    files: Files,
    node: str,
    fingerprint: str,
    unit: int,
    *,
    time_to_live_s: float = TIME_TO_LIVE_S,
    clock: Callable[[], float] = time.time,
) -> Claim | None:
    """Claim a unit. None if a live worker holds it."""
    now = clock()
    generation, held = _newest(files, node, fingerprint, unit)
    if held is not None and not held.is_expired(now, time_to_live_s):
        return None
    ours = Lease(socket.gethostname(), os.getpid(), now, now)
    path = layout.lease(node, fingerprint, unit, generation + 1)
    if not files.create(path, _to_json(ours)):
        return None
    if generation >= 0:
        files.remove(layout.lease(node, fingerprint, unit, generation))
    return Claim(files, path, ours)


def current_lease(files: Files, node: str, fingerprint: str) -> dict[int, Lease]:
    """Unit -> its lease, for every unit that has one, expired or not."""
    units = {int(name.split(".")[0]) for name in files.names(layout.leases(node, fingerprint))}
    leases = {unit: _newest(files, node, fingerprint, unit)[1] for unit in sorted(units)}
    return {unit: lease for unit, lease in leases.items() if lease is not None}


def _newest(files: Files, node: str, fingerprint: str, unit: int) -> tuple[int, Lease | None]:
    prefix = f"{unit:05d}."
    names = [n for n in files.names(layout.leases(node, fingerprint)) if n.startswith(prefix)]
    generation = max((int(name.split(".")[1]) for name in names), default=-1)
    if generation < 0:
        return -1, None
    try:
        return generation, Lease(**json.loads(files.read(layout.lease(node, fingerprint, unit, generation))))
    except (FileNotFoundError, ValueError, TypeError):
        # The lease was released after the listing, or the file is damaged: no live worker holds it.
        return generation, None


def _to_json(lease: Lease) -> bytes:
    return json.dumps(asdict(lease), sort_keys=True).encode()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
