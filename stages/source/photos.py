"""Pictures that are decoded only when it is known how much of them is seen, and how large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pdstore.errors import CorruptData, UsageError
from stages.source.decoded_size import MAX_DECODED_MB
from stages.source.frames import Size
from stages.source.images import TOO_LARGE, ImageFault, decode
from stages.source.reduced_jpeg import decode_plain_jpeg

__all__ = ["DecodedPhoto", "EncodedPhoto", "Photo", "changed_since_ingest"]

Pixels = npt.NDArray[np.uint8]


class Photo(Protocol):
    """A picture in its frame."""

    @property
    def size(self) -> Size:
        """(height, width) of the frame."""
        ...

    def pixels(self) -> Pixels:
        """(height, width, 3) uint8 RGB, 0 to 255, in the frame."""
        ...

    def reduced(self, shrink: float) -> tuple[Pixels, tuple[float, float]]:
        """(h, w, 3) uint8 RGB with at least ``1 / shrink`` of the frame's pixels along each axis.

        The second value is the number of its pixels per pixel of the frame, along a row and along a column.
        """
        ...


@dataclass(frozen=True, eq=False)
class DecodedPhoto:
    """A picture that is in memory, which is its own frame.

    Attributes:
        image: (H, W, 3) uint8 RGB.
    """

    image: Pixels

    @property
    def size(self) -> Size:
        height, width = self.image.shape[:2]
        return height, width

    def pixels(self) -> Pixels:
        return self.image

    def reduced(self, shrink: float) -> tuple[Pixels, tuple[float, float]]:
        return self.image, (1.0, 1.0)


@dataclass(frozen=True, eq=False)
class EncodedPhoto:
    """The bytes of an image file.

    Attributes:
        data: the whole file.
        key: names the file in errors.
        stored: (height, width) of the upright picture when it was ingested.
        size: (height, width) of the frame.
        max_mb: the most MiB that may be in memory while it is decoded.
    """

    data: bytes
    key: str
    stored: Size
    size: Size
    max_mb: int = MAX_DECODED_MB

    def pixels(self) -> Pixels:
        """The picture, brought to its frame.

        Raises:
            CorruptData: the file is no longer the picture that was ingested.
            UsageError: at this size, it takes more memory than ``max_mb``.
        """
        try:
            picture = decode(self.data, frame=lambda size: self.size, max_mb=self.max_mb)
        except ImageFault as fault:
            if fault.reason == TOO_LARGE:
                raise UsageError(fault.detail, self.key) from None
            raise changed_since_ingest(self.key, str(fault)) from None
        if picture.size != self.stored:
            found, before = (f"{width}x{height}" for height, width in (picture.size, self.stored))
            raise changed_since_ingest(self.key, f"it had {before} pixels, now {found}")
        return picture.pixels

    def reduced(self, shrink: float) -> tuple[Pixels, tuple[float, float]]:
        """A JPEG at a fraction of its size, straight from the file's pixels; anything else in its frame.

        Raises:
            CorruptData: the file is no longer the picture that was ingested.
        """
        down, along = (stored / framed for stored, framed in zip(self.stored, self.size, strict=True))
        found = decode_plain_jpeg(self.data, self.stored, shrink * min(down, along))
        if found is None:
            return self.pixels(), (1.0, 1.0)
        pixels, factor = found
        return pixels, (along / factor, down / factor)


def changed_since_ingest(key: str, problem: str) -> CorruptData:
    """The error for an image that a training needs and cannot read."""
    fix = "Bring the file back: a training must see the images that were ingested"
    return CorruptData(f"the image is no longer as it was ingested: {problem}", key, fix)
