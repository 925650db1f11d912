"""The doors through which other people's files come in: sound inputs of each, their mutations, and their reader.

A door's ``feed`` reads one input as the program does. What it may raise is one of our errors; an error that becomes a
row of ``errors`` counts as one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import annotations, checkpoints, commands, pictures, settings, stored

__all__ = ["DOORS", "Door"]


@dataclass(frozen=True)
class Door:
    """A way in.

    Attributes:
        seeds: sound inputs, made in a folder.
        mutated: a generator and the inputs -> a mutated input.
        feed: reads one input; the folder is for its files.
        share: of the inputs of a campaign that go to this door, relative to the others.
    """

    seeds: Callable[[Path], list[bytes]]
    mutated: Callable[[random.Random, list[bytes]], bytes]
    feed: Callable[[Path, bytes], None]
    share: int = 1


DOORS: Mapping[str, Door] = {
    name: Door(*parts)
    for module in (pictures, annotations, settings, stored, checkpoints, commands)
    for name, parts in module.DOORS.items()
}
