"""Plain JPEG files -> RGB pixels at a half, a quarter or an eighth of their size, by libjpeg-turbo.

At full size the pixels are those of Pillow, bit for bit. Everything else (other formats, CMYK, pictures that are stored
rotated, damaged files) is left to :mod:`stages.source.images`, which also says what is wrong with a file.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from stages.source.frames import Size

__all__ = ["decode_plain_jpeg"]

Pixels = npt.NDArray[np.uint8]
_ORIENTATION_TAG = 0x0112
_START = b"\xff\xd8\xff"
_LARGE = 1 << 23
"""Pixels beyond which a picture is left to the other decoder, which decodes large pictures one at a time."""
_SMALL = 16
"""A picture with no side of this length is not reduced: its sizes at several fractions may be equal."""


def decode_plain_jpeg(data: bytes, size: Size, shrink: float) -> tuple[Pixels, int] | None:
    """Decode at the smallest fraction that has ``1 / shrink`` of the pixels along each axis.

    The fraction is a power of two, for which libjpeg-turbo has fast transforms.

    Args:
        data: the whole file.
        size: (height, width) that the file must have.
        shrink: pixels of the file per pixel that is wanted.

    Returns:
        (h, w, 3) uint8 RGB, 0 to 255, and the factor n, 1, 2, 4 or 8, by which it is smaller: pixel x lies over the
        pixels n·x to n·x + n of the file. None if the file is not a plain, sound JPEG of this size.
    """
    if not data.startswith(_START):
        return None
    factor = next(n for n in (8, 4, 2, 1) if n <= max(shrink, 1)) if max(size) >= _SMALL else 1
    height, width = (-(-length // factor) for length in size)
    if height * width > _LARGE:
        return None
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG",))
        is_plain = image.mode in ("L", "RGB") and image.getexif().get(_ORIENTATION_TAG, 1) == 1
        if not is_plain or (image.height, image.width) != size:
            return None
        # strict: a warning, such as about missing data, is an error.
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width, min_factor=1, strict=True)
    except Exception:
        # Whatever a damaged file makes the two raise: the other decoder says what is wrong.
        return None
    return (pixels, factor) if pixels.shape == (height, width, 3) else None
