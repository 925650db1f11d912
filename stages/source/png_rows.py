"""A large PNG file, scaled down while it is decoded: a few rows are in memory at a time, never the whole picture.

Pillow decodes a PNG as a whole. Here the file's data are inflated piece by piece, and each run of rows is wrapped as a
small PNG of its own, whose first row is the last one of the run before it (a PNG's rows are stored as differences from
the row above). So Pillow's decoder still does all the work on pixels.

Source: PNG specification, 3rd edition, clauses 7 (rows) and 9 (filters).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from stages.source.png_chunks import header, image_data, is_png, wrapped

__all__ = ["can_stream", "scaled"]

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> samples per pixel."""
_STRIP_BYTES = 1 << 21
_PIECE = 1 << 16
"""Bytes of the file that are inflated at a time."""


def can_stream(image: Image.Image, data: bytes) -> bool:
    """True for a PNG of at most 8 bits per sample whose rows are stored from top to bottom (not interlaced)."""
    if not is_png(data):
        return False
    _, _, depth, colour, interlace = header(data)
    is_plain = depth <= 8 and colour in _SAMPLES and interlace == 0
    return image.format == "PNG" and is_plain and len(image.tile) == 1  # type: ignore[attr-defined]


def scaled(
    image: Image.Image, data: bytes, target: tuple[int, int], prepare: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """The picture at size ``target`` (width, height), equal to ``prepare(image).resize(target, BILINEAR)``.

    Pillow scales rows first and columns afterwards, so that the rows can be scaled a few at a time.

    Args:
        image: the opened file, of which no pixel has been read; it must be one that :func:`can_stream`.
        data: its bytes.
        prepare: picture -> the picture in the mode in which it is scaled.

    Raises:
        OSError: the file ends too early.
        zlib.error: its data are damaged.
    """
    narrow: Image.Image | None = None
    top = 0
    for strip in _strips(image, data):
        part = prepare(strip)
        if narrow is None:
            narrow = Image.new(part.mode, (target[0], image.height))
        narrow.paste(part.resize((target[0], part.height), Image.Resampling.BILINEAR), (0, top))
        top += part.height
    assert narrow is not None
    return narrow.resize(target, Image.Resampling.BILINEAR)


def _strips(image: Image.Image, data: bytes) -> Iterator[Image.Image]:
    """The picture in runs of rows, from the top, in the mode and with the palette of ``image``."""
    width, height, depth, colour, _ = header(data)
    step = max(1, _SAMPLES[colour] * depth // 8)
    length = -(-width * _SAMPLES[colour] * depth // 8)
    # Of few bits per pixel, too: each becomes a byte, or four.
    rows = max(1, _STRIP_BYTES // max(length + 1, width))
    rawmode = image.tile[0].args  # type: ignore[attr-defined]
    above = bytes(length)
    inflated = _inflated(data, rows * (length + 1))
    for top in range(0, height, rows):
        count = min(rows, height - top)
        filtered = next(inflated, b"")[: count * (length + 1)]
        if len(filtered) < count * (length + 1):
            raise OSError(f"image file is truncated: it ends in row {top + len(filtered) // (length + 1)} of {height}")
        raw = _unfiltered(filtered, above, length, step)
        above = raw[-length:]
        strip = Image.frombytes(image.mode, (width, count), raw, "raw", rawmode)
        if image.palette is not None:
            strip.putpalette(image.palette)
        strip.info = dict(image.info)
        yield strip


def _inflated(data: bytes, size: int) -> Iterator[bytes]:
    """The decompressed data of a PNG, ``size`` bytes at a time; the last piece may be shorter."""
    inflate, waiting = zlib.decompressobj(), bytearray()
    for chunk in image_data(data):
        for first in range(0, len(chunk), _PIECE):
            rest = bytes(chunk[first : first + _PIECE])
            while rest:
                waiting += inflate.decompress(rest, max(1, size - len(waiting)))
                rest = inflate.unconsumed_tail
                if len(waiting) >= size:
                    yield bytes(waiting[:size])
                    del waiting[:size]
    yield bytes(waiting)


def _unfiltered(filtered: bytes, above: bytes, length: int, step: int) -> bytes:
    """The bytes of some rows, of which only differences are stored.

    Args:
        filtered: rows of 1 + ``length`` bytes: the filter's number, then the differences.
        above: the ``length`` bytes of the row above them.
        step: distance in bytes of the byte to the left that a filter looks at: 1, 2, 3 or 4.
    """
    # Filters know bytes, not pixels: any row is one of a picture with ``step`` samples of 8 bits per pixel.
    columns = -(-length // step)
    rows = len(filtered) // (length + 1) + 1
    colour, mode = {1: (0, "L"), 2: (4, "LA"), 3: (2, "RGB"), 4: (6, "RGBA")}[step]
    stored = zlib.compressobj(0)
    body = stored.compress(b"\0" + above + filtered) + stored.flush()
    size = struct.pack(">IIBBBBB", columns, rows, 8, colour, 0, 0, 0)
    with Image.open(io.BytesIO(wrapped((b"IHDR", size), (b"IDAT", body), (b"IEND", b"")))) as picture:
        return picture.convert(mode).tobytes()[length:]
