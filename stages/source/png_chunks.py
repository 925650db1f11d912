"""The chunks of a PNG file: what Pillow does not tell about a picture, its data, and a copy without text."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

__all__ = [
    "bit_depth",
    "header",
    "image_data",
    "is_png",
    "significant_bits",
    "without_pixels",
    "without_text",
    "wrapped",
]

_MAGIC = b"\x89PNG\r\n\x1a\n"
_TEXT = {b"tEXt", b"zTXt", b"iTXt", b"iCCP"}
_ORIENTATION = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
"""Keywords of text that can hold the picture's orientation."""
_FRAME_BYTES = 12
"""Length, name and checksum of a chunk."""


def is_png(data: bytes) -> bool:
    return data.startswith(_MAGIC)


def bit_depth(data: bytes) -> int:
    """Bits of one sample, from the first chunk of a PNG."""
    return data[24]


def header(data: bytes) -> tuple[int, int, int, int, int]:
    """Width, height, bits per sample, colour type and interlace method, from the first chunk of a PNG."""
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    return width, height, depth, colour, interlace


def image_data(data: bytes) -> Iterator[memoryview]:
    """The pieces of the picture's compressed data, in order; of a file that is cut off, what is there."""
    view, end = memoryview(data), len(_MAGIC)
    for name, start, stop in _chunks(data):
        if name == b"IDAT":
            yield view[start + 8 : stop - 4]
        end = stop
    if data[end + 4 : end + 8] == b"IDAT":
        yield view[end + 8 :]


def without_pixels(data: bytes) -> bytes:
    """A PNG of a single pixel with the texts and the EXIF data of the file, wherever they stand in it."""
    about = [
        (name, data[start + 8 : stop - 4])
        for name, start, stop in _chunks(data)
        if name == b"eXIf" or name in _TEXT - {b"iCCP"}
    ]
    pixel = (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0\0"))
    return wrapped(pixel[0], *about, pixel[1], (b"IEND", b""))


def wrapped(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of these chunks, each given as name and content."""
    framed = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return b"".join([_MAGIC, *framed])


def significant_bits(data: bytes) -> int:
    """The largest number in the chunk sBIT: how many bits the samples had originally; 0 if the file does not say."""
    for name, start, stop in _chunks(data):
        if name == b"sBIT":
            return max(data[start + 8 : stop - 4], default=0)
        if name == b"IDAT":
            break
    return 0


def without_text(data: bytes) -> bytes:
    """The file without comments and colour profile, which no pixel needs; text that holds an orientation is kept."""
    kept, end = [_MAGIC], len(_MAGIC)
    for name, start, stop in _chunks(data):
        if name not in _TEXT or data[start + 8 : stop].startswith(_ORIENTATION):
            kept.append(data[start:stop])
        end = stop
    return b"".join([*kept, data[end:]])


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, stop) of each whole chunk; stops where the file is cut off."""
    start = len(_MAGIC)
    while start + _FRAME_BYTES <= len(data):
        stop = start + _FRAME_BYTES + int.from_bytes(data[start : start + 4], "big")
        if stop > len(data):
            return
        yield data[start + 4 : start + 8], start, stop
        start = stop
