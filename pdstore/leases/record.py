"""The file of a lease: made once, by whoever holds it, and never changed."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any

from pdstore.fingerprint import canonical, digest
from pdstore.leases.owner import Owner, this_process

__all__ = ["LeaseRecord"]

FORMAT = 2
_FORMAT_1 = {"host", "pid", "beat", "started"}


@dataclass(frozen=True)
class LeaseRecord:
    """The content of a lease file.

    Attributes:
        token: a name that no other lease has. It is part of the name of the file of heartbeats; empty if the lease was
            made by an earlier release, which wrote its heartbeats into the lease file.
        owner: who holds the lease.
        time_to_live_s: how long it holds without a heartbeat, in seconds of whoever looks at it; None for an earlier
            release, which did not say.
    """

    token: str
    owner: Owner
    time_to_live_s: float | None

    @classmethod
    def new(cls, time_to_live_s: float) -> LeaseRecord:
        """A lease of this process."""
        return cls(secrets.token_hex(6), this_process(), time_to_live_s)

    def to_json(self, path: str) -> bytes:
        """The file, with a digest of it and of ``path``, so that the content of another file is not taken for it."""
        values = {"format": FORMAT, "token": self.token, "time_to_live_s": self.time_to_live_s, **asdict(self.owner)}
        return canonical(values | {"digest": digest([path, values])})

    @classmethod
    def from_json(cls, data: bytes, path: str) -> LeaseRecord | None:
        """None if the file is damaged, is that of another lease, or of a version that is not known."""
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            return None
        if not isinstance(values, dict):
            return None
        if values.keys() == _FORMAT_1:
            # No boot, no namespace: nothing follows from the number of its process.
            return cls("", Owner(str(values["host"]), _number(values["pid"]), "", ""), None)
        found = values.pop("digest", None)
        try:
            if found != digest([path, values]) or values["format"] != FORMAT:
                return None
            owner = Owner(*(values[name] for name in ("host", "pid", "machine", "started")))
            return cls(values["token"], owner, float(values["time_to_live_s"]))
        except (KeyError, ValueError):
            return None


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
