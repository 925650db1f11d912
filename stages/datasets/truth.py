"""The ground truth of one image, and the interface of the readers that supply it.

Masks are COCO compressed run lengths in original image pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pdstore import masks

__all__ = ["MALFORMED", "Reader", "Stray", "TrueObject", "TruePart", "Truth", "is_frame", "merged"]

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
"""Errors that libraries raise when an annotation file is cut off, damaged, or of another version."""


_MOST_PIXELS, _LONGEST_SIDE = 2**31 - 1, 1 << 20


def is_frame(height: int, width: int) -> bool:
    """Whether a picture can have this size: pycocotools has 32 bits for the pixels, and a side takes memory."""
    return min(height, width) >= 1 and max(height, width) <= _LONGEST_SIDE and height * width <= _MOST_PIXELS


@dataclass(frozen=True)
class TruePart:
    """The name and mask of a part; several parts of an object may have the same name."""

    name: str
    counts: bytes


@dataclass(frozen=True)
class TrueObject:
    """An object: the name of its class in lower case, its mask, and its parts in listed order.

    An empty name stands for the image's own class.
    """

    name: str
    counts: bytes
    parts: tuple[TruePart, ...]


@dataclass(frozen=True)
class Truth:
    """All objects of an image of (height, width) pixels.

    Attributes:
        is_own_class: the objects are of the image's own class, whatever the store calls it.
        left_out: (reason, detail) of each annotation that is left out; the others stay.
    """

    height: int
    width: int
    objects: tuple[TrueObject, ...] = ()
    is_own_class: bool = False
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Stray:
    """An annotation that belongs to no image."""

    subject: str
    detail: str
    reason: str = "bad_annotation"


class Reader(Protocol):
    """Annotations of a data set, image by image."""

    @property
    def strays(self) -> Sequence[Stray]:
        """Annotations of images that the data set does not list."""
        ...

    def read(self, key: str, load: Callable[[str], bytes]) -> Truth | None:
        """The ground truth of the image ``key``, or None if the data set does not list the image.

        Args:
            key: path of the image, relative to the image folder.
            load: returns the bytes of a file, given its path relative to the image folder; raises ImageFault.

        Raises:
            ImageFault: if the annotation of the image is missing or malformed.
        """
        ...


def merged(thing: TrueObject, height: int, width: int) -> TrueObject:
    """The object with parts of the same name united, each in the place of the first of them.

    Source: reference setting ``USE_MERGED_GT``.
    """
    by_name: dict[str, list[bytes]] = {}
    for part in thing.parts:
        by_name.setdefault(part.name, []).append(part.counts)
    parts = (TruePart(name, masks.union(counts, height, width)) for name, counts in by_name.items())
    return replace(thing, parts=tuple(parts))
