from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from stages.source.images import decode
from stages.source.png_chunks import bit_depth, is_png, significant_bits, without_text

PIXELS = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(*chunks: bytes, late: bytes = b"", **options: object) -> bytes:
    """A PNG of PIXELS with more chunks after the header, and ``late`` after the picture."""
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG", **options)
    data = buffer.getvalue()
    return data[:33] + b"".join(chunks) + data[33:-12] + late + data[-12:]


def test_what_a_file_says_about_its_samples() -> None:
    """The depth is in the header; the significant bits are in sBIT, if it is there."""
    assert is_png(png()) and not is_png(b"GIF89a")
    assert bit_depth(png()) == 8
    assert significant_bits(png()) == 0 and significant_bits(png(chunk(b"sBIT", b"\x05\x06\x05"))) == 6


LONG = zlib.compress(bytes(3_000_000))
LONG_CHUNKS = {
    "zTXt": chunk(b"zTXt", b"workflow\0\0" + LONG),
    "iTXt": chunk(b"iTXt", b"prompt\0\1\0\0\0" + LONG),
    "iCCP": chunk(b"iCCP", b"profile\0\0" + LONG),
    "many": b"".join(chunk(b"tEXt", b"key%d\0" % n + bytes([65]) * 900_000) for n in range(80)),
}


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("kind", LONG_CHUNKS)
def test_long_text_costs_no_picture(kind: str, where: str) -> None:
    """Comments and profiles of any length, before or after the picture: it is read, as it is without them."""
    if (kind, where) == ("iCCP", "after"):
        pytest.skip("a profile comes before the picture")
    data = png(LONG_CHUNKS[kind]) if where == "before" else png(late=LONG_CHUNKS[kind])
    assert (decode(data).pixels == PIXELS).all()


def test_the_orientation_survives_long_text() -> None:
    """XMP beside a long comment still turns the picture upright."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    data = png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp), LONG_CHUNKS["zTXt"])
    found = decode(data)
    assert found.orientation == 3 and (found.pixels == PIXELS[::-1, ::-1]).all()


def test_only_text_is_left_out() -> None:
    """Every other chunk stays, byte by byte, also of a file that is cut off in the middle of one."""
    data = png(chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"tEXt", b"a\0b"))
    assert without_text(data) == png(chunk(b"gAMA", struct.pack(">I", 45455)))
    assert without_text(data[:-20]) == without_text(data)[:-20]
    assert PngImagePlugin.PngImageFile(io.BytesIO(without_text(data))).size == (16, 12)
