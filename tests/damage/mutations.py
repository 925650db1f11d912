"""What can happen to a file of a store: a flipped byte, a cut end, a deletion, the content of another file."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KINDS", "Mutation", "kind_of", "mutations"]

KINDS = ("flip", "cut", "delete", "other")
_NAMES = re.compile(r"[0-9a-f]{12,}|\d{3,}")


@dataclass(frozen=True)
class Mutation:
    """One change to one file.

    Attributes:
        path: the file, relative to the store. kind: one of :data:`KINDS`.
        data: what the file holds afterwards; None if it is gone.
    """

    path: str
    kind: str
    data: bytes | None

    def apply(self, store: Path) -> None:
        target = store / self.path
        target.unlink()
        if self.data is not None:
            target.write_bytes(self.data)

    def __str__(self) -> str:
        return f"{self.kind} of {self.path}"


def kind_of(path: str) -> str:
    """The kind of a file: its path without numbers, fingerprints and names of nodes."""
    parts = path.split("/")
    if parts[0] in ("layers", "checkpoints", "leases") and len(parts) > 2:
        parts[1] = "NODE"
    return _NAMES.sub("N", "/".join(parts))


def mutations(store: Path, count: int, seed: int) -> Iterator[Mutation]:
    """``count`` mutations: every kind of change to every kind of file in turn; files and bytes are drawn."""
    draw = random.Random(seed)
    found: dict[str, list[str]] = {}
    for path in sorted(p.relative_to(store).as_posix() for p in store.rglob("*") if p.is_file()):
        found.setdefault(kind_of(path), []).append(path)
    turns = [(files, kind) for kind in KINDS for files in found.values()]
    draw.shuffle(turns)
    for number in range(count):
        files, kind = turns[number % len(turns)]
        path = draw.choice(files)
        yield Mutation(path, kind, _changed(store, path, kind, files, draw))


def _changed(store: Path, path: str, kind: str, alike: list[str], draw: random.Random) -> bytes | None:
    data = (store / path).read_bytes()
    if kind == "delete":
        return None
    if kind == "cut":
        return data[: draw.randrange(len(data))] if data else b"x"
    if kind == "flip":
        place = draw.randrange(len(data)) if data else 0
        return data[:place] + bytes([data[place] ^ (1 << draw.randrange(8))]) + data[place + 1 :] if data else b"x"
    # Of a file of its kind if there is another, since that is the harder one to tell from what it replaces.
    others = [p for p in alike if (store / p).read_bytes() != data]
    if not others or draw.random() < 0.25:
        everywhere = sorted(p.relative_to(store).as_posix() for p in store.rglob("*") if p.is_file())
        others = [p for p in everywhere if (store / p).read_bytes() != data]
    return (store / draw.choice(others)).read_bytes()
