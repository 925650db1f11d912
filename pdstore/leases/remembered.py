"""Sightings that outlast a command, so that ``pd status`` knows what the one before it saw on the same machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from pdstore.files.local import replace_file
from pdstore.leases.owner import machine
from pdstore.leases.sightings import Sighting, Sightings

__all__ = ["remembered"]


@contextlib.contextmanager
def remembered(sightings: Sightings, store: str) -> Iterator[None]:
    """Inside, ``sightings`` knows what earlier commands of this user saw of the leases of a store.

    What was seen before the last start of the machine, or in another container on it, does not count: the clock was
    another one. This is a cache: if it is lost or cannot be written, every command sees for the first time.

    Args:
        store: the root of its files.
    """
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(root) / "pdstore" / "leases" / f"{hashlib.sha256(store.encode()).hexdigest()[:32]}.json"
    place = machine()
    for lease, sighting in _read(path, place).items():
        if sighting.since <= sightings.clock():
            sightings.recall(lease, sighting)
    before = sightings.items()
    try:
        yield
    finally:
        after = sightings.items()
        if place and after != before:
            seen = {lease: astuple(sighting) for lease, sighting in after.items() if lease.startswith(f"{store}#")}
            with contextlib.suppress(OSError):
                replace_file(str(path), json.dumps({"machine": place, "seen": seen}).encode())


def _read(path: Path, place: str) -> dict[str, Sighting]:
    try:
        values = json.loads(path.read_bytes())
        if values["machine"] != place:
            return {}
        return {
            lease: Sighting(str(mark), float(since), bool(changed))
            for lease, (mark, since, changed) in values["seen"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
