"""Deep pictures are scaled by what their file declares, or refused; the same value always gets the same grey."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from stages.source.images import ImageFault, Picture, decode

RAMP = np.linspace(0, 1, 64).reshape(8, 8)
SMIN, SMAX, MAX = 340, 341, 281


def tiff(values: npt.NDArray[np.generic], *tags: tuple[int, str, object], **options: object) -> bytes:
    buffer = io.BytesIO()
    extra = [(code, kind, 1, value, True) for code, kind, value in tags]
    tifffile.imwrite(buffer, values, extratags=extra, **options)
    return buffer.getvalue()


def png16(values: npt.NDArray[np.uint16], sbit: int = 0) -> bytes:
    """A PNG of 16-bit grey (H, W) or colours (H, W, 3), as the format defines it."""
    rows = values.astype(">u2").reshape(len(values), -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    colour = 2 if values.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour, 0, 0, 0)
    depth = [(b"sBIT", bytes([sbit]) * (3 if colour else 1))] if sbit else []
    parts = [(b"IHDR", header), *depth, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    framed = (struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def twelve_bits(values: npt.NDArray[np.integer]) -> bytes:
    """A TIFF that packs two samples of 12 bits into three bytes."""
    pairs = values.reshape(-1, 2).astype(int)
    first, second = pairs[:, 0], pairs[:, 1]
    strip = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).tobytes()
    height, width = values.shape
    entries = [(256, width), (257, height), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, height)]
    entries += [(279, len(strip))]
    ifd = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", tag, 4, 1, v) for tag, v in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + ifd + bytes(4)


def is_ramp(picture: Picture) -> bool:
    expected = np.repeat((RAMP * 255)[..., None], 3, 2)
    return bool(np.abs(picture.pixels - expected).max() < 2)


RAMPS = {
    "png, 16 bits": png16((RAMP * 65535).astype(np.uint16)),
    "png, 12 bits scaled up": png16((RAMP * 4095).astype(np.uint16) << 4, sbit=12),
    "png, 12 bits as they are": png16((RAMP * 4095).astype(np.uint16), sbit=12),
    "png, 10 bits as they are": png16((RAMP * 1023).astype(np.uint16), sbit=10),
    "tiff, 16 bits": tiff((RAMP * 65535).astype(np.uint16)),
    "tiff, 16 bits, white is zero": tiff(((1 - RAMP) * 65535).astype(np.uint16), photometric="miniswhite"),
    "tiff, 12 bits": twelve_bits((RAMP * 4095).astype(np.uint16)),
    "tiff, 12 bits in 16": tiff((RAMP * 4095).astype(np.uint16), (MAX, "H", 4095)),
    "tiff, 16 bits with a range": tiff((1000 + RAMP * 500).astype(np.uint16), (SMIN, "H", 1000), (SMAX, "H", 1500)),
    "tiff, signed": tiff((RAMP * 2000 - 1000).astype(np.int16), (SMIN, "h", -1000), (SMAX, "h", 1000)),
    "tiff, 32 bits": tiff((RAMP * 4e9).astype(np.uint32), (SMAX, "I", 4_000_000_000)),
    "tiff, float": tiff(RAMP.astype(np.float32), (SMIN, "f", 0.0), (SMAX, "f", 1.0)),
    "tiff, float of its own scale": tiff((RAMP * 30 - 20).astype(np.float32), (SMIN, "f", -20.0), (SMAX, "f", 10.0)),
}


@pytest.mark.parametrize("name", RAMPS)
def test_a_declared_range_is_from_black_to_white(name: str) -> None:
    """From the smallest to the largest declared value a picture runs from black to white."""
    assert is_ramp(decode(RAMPS[name]))


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_pictures_are_not_stretched(share: float) -> None:
    """The same value has the same grey in a dark and in a bright picture of the same kind."""
    dark = RAMP * share
    for data in (
        png16((dark * 65535).astype(np.uint16)),
        twelve_bits((dark * 4095).astype(np.uint16)),
        png16((dark * 4095).astype(np.uint16), sbit=12),
        tiff(dark.astype(np.float32), (SMIN, "f", 0.0), (SMAX, "f", 1.0)),
    ):
        assert decode(data).pixels.max() == pytest.approx(255 * share, abs=1)


REFUSED = {
    "float": (tiff(RAMP.astype(np.float32)), "floating-point samples of 32 bits need a declared range"),
    "32 bits": (tiff((RAMP * 200).astype(np.uint32)), "unsigned samples of 32 bits need a declared range"),
    "signed": (tiff((RAMP * 2000 - 1000).astype(np.int16)), "signed samples of 16 bits need a declared range"),
    "signed bytes": (tiff((RAMP * 100 - 50).astype(np.int8)), "signed samples of 8 bits need a declared range"),
    "12 bits in 16": (tiff((RAMP * 4095).astype(np.uint16)), "no sample is above 4095 of 65535"),
    "png, 12 bits in 16": (png16((RAMP * 4095).astype(np.uint16)), "no sample is above 4095 of 65535"),
    "png, 8 bits in 16": (png16((RAMP * 200).astype(np.uint16)), "no sample is above 200 of 65535"),
    "statistics": (tiff((RAMP * 3000).astype(np.uint16), (MAX, "H", 3000)), "no sample is above 3000 of 65535"),
    "colours": (png16(np.repeat((RAMP * 4095).astype(np.uint16)[..., None], 3, 2)), "no sample reaches 4096"),
    "tiff colours": (tiff(np.repeat((RAMP * 255).astype(np.uint16)[..., None], 3, 2)), "no sample reaches 4096"),
    "colours with a range": (
        tiff(np.repeat((RAMP * 60000).astype(np.uint16)[..., None], 3, 2), (SMAX, "H", 60000)),
        "colours with a range of their own",
    ),
    "an empty range": (tiff(RAMP.astype(np.float32), (SMIN, "f", 1.0), (SMAX, "f", 1.0)), "a range from 1 to 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unknown_range_is_a_reason(name: str) -> None:
    """What would come out black, or in a scale of its own, is refused, and the reason says what is missing."""
    data, why = REFUSED[name]
    with pytest.raises(ImageFault, match=f"{why}.*convert it to 8 bits") as caught:
        decode(data)
    assert caught.value.reason == "unknown_range"


def test_colours_of_sixteen_bits_are_read() -> None:
    """16-bit colours that use their range become bytes."""
    values = np.random.default_rng(0).integers(0, 65536, (9, 7, 3)).astype(np.uint16)
    for data in (png16(values), tiff(values, photometric="rgb")):
        assert (decode(data).pixels == values >> 8).all()


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.uint32])
def test_a_tiff_that_pillow_cannot_open_says_what_it_is(kind: type) -> None:
    """Not "no image": the reason names the samples."""
    values = np.repeat((RAMP * 100).astype(kind)[..., None], 3, 2)
    with pytest.raises(ImageFault, match=rf"3 \S+ samples of {8 * np.dtype(kind).itemsize} bits") as caught:
        decode(tiff(values, photometric="rgb"))
    assert caught.value.reason == "unsupported"


def test_a_grey_map_says_its_own_range() -> None:
    """A PGM carries its largest value, which is white."""
    values = (RAMP * 1000).astype(">u2")
    assert is_ramp(decode(b"P5 8 8 1000\n" + values.tobytes()))


def test_a_deep_picture_comes_upright() -> None:
    """A rotated 16-bit TIFF is scaled by its range and turned, once."""
    values = np.array([[0, 20000, 40000], [10000, 30000, 65535]], np.uint16)
    picture = decode(tiff(values, (274, "H", 3)))
    assert picture.orientation == 3 and (picture.pixels[..., 0] == (values[::-1, ::-1] / 257).astype(int)).all()


def test_an_image_without_a_range_of_any_kind() -> None:
    """A format that declares no range for deep samples is refused, too."""
    buffer = io.BytesIO()
    Image.fromarray(RAMP.astype(np.float32)).save(buffer, "SPIDER")
    with pytest.raises(ImageFault) as caught:
        decode(buffer.getvalue())
    assert caught.value.reason in ("unknown_range", "not_an_image")
