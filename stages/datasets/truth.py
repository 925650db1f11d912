"""What a data set says about one image, and the one thing that a reader of a data set does.

Masks are COCO compressed run lengths in original image pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pdstore import masks

__all__ = ["MALFORMED", "Reader", "Stray", "TrueObject", "TruePart", "Truth", "merged"]

MALFORMED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What the libraries that read annotation files raise where one is cut off, damaged, or of another version."""


@dataclass(frozen=True)
class TruePart:
    """A part mask; several parts of an object may have one name."""

    name: str
    counts: bytes


@dataclass(frozen=True)
class TrueObject:
    """An object: the name of its class in lower case, its mask, and its parts in the order in which they are listed."""

    name: str
    counts: bytes
    parts: tuple[TruePart, ...]


@dataclass(frozen=True)
class Truth:
    """All objects of an image of (height, width) pixels.

    Attributes:
        is_own_class: the objects are of the image's own class, whatever the store calls it.
    """

    height: int
    width: int
    objects: tuple[TrueObject, ...] = ()
    is_own_class: bool = False


@dataclass(frozen=True)
class Stray:
    """An annotation that belongs to no image."""

    subject: str
    detail: str


class Reader(Protocol):
    """Annotations of a data set, image by image."""

    @property
    def strays(self) -> Sequence[Stray]:
        """What the data set says about images that it does not have."""
        ...

    def read(self, key: str, load: Callable[[str], bytes]) -> Truth | None:
        """What is true of the image ``key``; None if the data set does not speak of it.

        Args:
            load: the bytes of a file, by its path relative to the image folder; raises ImageFault.

        Raises:
            ImageFault: the image's annotation is missing or malformed.
        """
        ...


def merged(thing: TrueObject, height: int, width: int) -> TrueObject:
    """Its parts of one name are one part, at the place of the first; reference setting ``USE_MERGED_GT``."""
    names: dict[str, list[bytes]] = {}
    for part in thing.parts:
        names.setdefault(part.name, []).append(part.counts)
    parts = (TruePart(name, masks.union(several, height, width)) for name, several in names.items())
    return replace(thing, parts=tuple(parts))
