"""How much memory the decoding of a picture takes, known from the file's header before a pixel is decoded.

A few kilobytes can be a picture of hundreds of megapixels: a file's size says nothing. So the bytes that a decoder and
the conversion to RGB will have in memory at once are estimated from above, for the formats that compress.
"""

from __future__ import annotations

import struct
from typing import Any

from PIL import Image, TiffImagePlugin

__all__ = ["MAX_DECODED_MB", "NESTED", "decoded_bytes", "num_scans", "webp_size"]

MAX_DECODED_MB = 1024
"""Most MiB that one picture may take while it is decoded, unless a setting says otherwise."""
NESTED = {"BLP", "CUR", "EPS", "FITS", "ICNS", "ICO", "IPTC", "WMF"}
"""Formats that hold another picture, or data, whose size their header does not tell; EPS is a program."""
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
"""Tags of TIFF."""
_SMALL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2, "LA": 4, "PA": 4}
"""Pillow's modes whose pixels take other than four bytes."""
_BY_FORMAT = {"WEBP": 12, "AVIF": 12, "JPEG2000": 16}
"""Format -> bytes per pixel that its decoder has beside the picture: canvases, planes of 16 or 32 bits."""
_SIDE = 32
"""Bytes per row and column: Pillow's pointers to rows, and its weights when it scales."""


def decoded_bytes(image: Image.Image, wanted: tuple[int, int] | None, is_streamed: bool, full: tuple[int, int]) -> int:
    """The most bytes that are in memory at once, from above, while the opened ``image`` becomes RGB.

    Args:
        image: opened, not loaded; a JPEG at the fraction of its size at which it will be decoded.
        wanted: (width, height) to which it is scaled; None keeps its size.
        is_streamed: it is decoded a few rows at a time (see :mod:`stages.source.png_rows`).
        full: (width, height) of the picture in the file.
    """
    width, height = image.size
    stored = _SMALL.get(image.mode, 4)
    sides = _SIDE * (width + height)
    if is_streamed and wanted is not None:
        return (wanted[0] * 4 + 1) * height + sides
    # Pillow copies the picture as RGB, and again twice, as bytes, for an array.
    converted = 10 if wanted is None else 0 if image.mode in ("RGB", "L", "CMYK", "YCbCr") else 4
    if image.mode.startswith(("I", "F")):
        # As an array, and as bytes.
        converted += stored + 2
    beside = _BY_FORMAT.get(str(image.format), 0) * width * height
    if image.format in ("JPEG", "MPO") and image.info.get("progressive"):
        # All coefficients are kept, whatever the fraction.
        beside = 2 * len(image.getbands()) * full[0] * full[1]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        beside += 2 * stored * _tile(image, _TILE_WIDTH) * _tile(image, _TILE_HEIGHT)
    return width * height * (stored + converted) + beside + sides


def webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a WebP, which Pillow makes room for when it opens the file; None if this is none.

    Source: RFC 9649, WebP image format, sections 2.5 to 2.7.
    """
    if len(data) < 30 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return tuple(int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))  # type: ignore[return-value]
    if kind == b"VP8L":
        bits = struct.unpack("<I", data[21:25])[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", data[26:30])
    return width & 0x3FFF, height & 0x3FFF


def num_scans(data: bytes) -> int:
    """How often a JPEG goes over its picture, from above: each scan costs time for all pixels, but few bytes."""
    return data.count(b"\xff\xda")


def _tile(image: Any, tag: int) -> int:
    value = image.tag_v2.get(tag, 0)
    value = value[0] if isinstance(value, tuple) and value else value
    return int(value) if isinstance(value, int) else 0
