"""Who holds a lease: a process, on a machine that is told apart from others by more than its host name."""

from __future__ import annotations

import os
import socket
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Owner", "clock", "machine", "this_process"]

PROC = Path("/proc")
_ENDED = {"Z", "X"}


@dataclass(frozen=True)
class Owner:
    """A process.

    Attributes:
        host: the name of its host, for people.
        pid: its number, within its machine.
        machine: see :func:`machine`; empty if it is not known.
        started: when the kernel started it, in ticks since the boot; empty if that is not known. Numbers of processes
            are given again, and no two processes have both in common.
    """

    host: str
    pid: int
    machine: str
    started: str

    def is_gone(self) -> bool:
        """True if it was a process of this machine and has ended. A process of another machine is never known to."""
        return self._state() is False

    def is_alive(self) -> bool:
        """True if it is a process of this machine that has not ended."""
        return self._state() is True

    def _state(self) -> bool | None:
        if not self.machine or (self.host, self.machine) != (socket.gethostname(), machine()):
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it exists, and belongs to another user
        status = _status(self.pid)
        return status is None or (status[0] not in _ENDED and status[1] == self.started)


def this_process() -> Owner:
    status = _status(os.getpid())
    return Owner(socket.gethostname(), os.getpid(), machine(), status[1] if status else "")


def clock() -> float:
    """Seconds that nobody sets back, among them those for which the machine was suspended: others have gone on then."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def machine() -> str:
    """What two processes have in common if, and only if, a number means the same process to both.

    On Linux the boot and the namespaces of processes and of time: containers on one host differ in them even if they
    have the same host name. Empty if ``/proc`` is not that of this namespace. Elsewhere the hardware address.
    """
    if not PROC.is_dir():
        return f"{sys.platform}/{uuid.getnode():012x}"
    try:
        if os.readlink(PROC / "self") != str(os.getpid()):
            return ""
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        spaces = [
            os.readlink(PROC / "self/ns" / name) for name in ("pid", "time") if (PROC / "self/ns" / name).exists()
        ]
    except OSError:
        return ""
    return "/".join([boot, *spaces])


def _status(pid: int) -> tuple[str, str] | None:
    """(state, start in ticks) of a process; None if the kernel does not tell."""
    try:
        # The name of the program stands in parentheses, and may hold spaces and parentheses itself.
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return None
