"""Large PNG files, decoded a few rows at a time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from stages.source import images, png_rows
from stages.source.images import ImageFault, decode
from stages.source.png_chunks import image_data, wrapped

_KINDS = [("1", 1), ("L", 8), ("LA", 8), ("P", 1), ("P", 2), ("P", 4), ("P", 8), ("RGB", 8), ("RGBA", 8)]


def _file(mode: str, bits: int, size: tuple[int, int], *, transparent: bool = False) -> bytes:
    rng = np.random.default_rng(sum(size))
    coarse = rng.integers(0, 256, (size[1] // 4 + 1, size[0] // 4 + 1, 4), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize(size)
    picture = picture.convert("RGB").quantize(2**bits) if mode == "P" else picture.convert(mode)
    options = {"bits": bits} if mode == "P" else {}
    named = {"P": 0, "L": 3, "RGB": (1, 2, 3)}.get(mode) if transparent else None
    file = io.BytesIO()
    picture.save(file, "PNG", **options, **({} if named is None else {"transparency": named}))
    return file.getvalue()


def _stream_all(monkeypatch: pytest.MonkeyPatch, strip_bytes: int) -> None:
    """Every picture counts as large; a run of rows has about ``strip_bytes``."""
    monkeypatch.setattr(images, "_LARGE", 0)
    monkeypatch.setattr(png_rows, "_STRIP_BYTES", strip_bytes)


def _decoded(data: bytes, frame: tuple[int, int]) -> np.ndarray | str:
    try:
        return decode(data, frame=lambda size: frame).pixels
    except ImageFault as fault:
        return fault.reason


@pytest.mark.parametrize("strip_bytes", [1, 1000, 1 << 21])
@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize(("mode", "bits"), _KINDS)
def test_a_picture_is_the_same_in_rows_and_as_a_whole(
    mode: str, bits: int, transparent: bool, strip_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pixels are those that Pillow gives for the whole file, whatever its samples, palette and transparency."""
    files = [_file(mode, bits, size, transparent=transparent) for size in ((7, 5), (33, 27), (130, 31), (1, 40))]
    frames = [(3, 4), (40, 100)]
    whole = [_decoded(data, frame) for data in files for frame in frames]
    _stream_all(monkeypatch, strip_bytes)
    for data in files:
        assert png_rows.can_stream(Image.open(io.BytesIO(data)), data)
    in_rows = [_decoded(data, frame) for data in files for frame in frames]
    for one, other in zip(whole, in_rows, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_file_that_is_cut_off_or_damaged_is_the_same_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the file ends, and whichever byte of its data is wrong, it is refused as it is when decoded whole."""
    data = _file("RGB", 8, (200, 150))
    cut = [data[:length] for length in range(60, len(data) - 20, 997)]
    whole = [_decoded(piece, (50, 60)) for piece in cut]
    _stream_all(monkeypatch, 1000)
    assert whole == [_decoded(piece, (50, 60)) for piece in cut]
    assert "truncated" in whole
    for position in range(300, len(data) - 60, 997):
        damaged = data[:position] + bytes([data[position] ^ 0x5A]) + data[position + 1 :]
        found = _decoded(damaged, (50, 60))
        assert not isinstance(found, str) or found in ("damaged", "truncated")


def test_other_kinds_of_png_are_decoded_as_a_whole() -> None:
    """Interlaced files and those of 16 bits per sample are left to Pillow, and so is any other format."""
    plain = _file("L", 8, (40, 30))
    interlaced = plain[:28] + b"\1" + plain[29:]
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), 60_000, np.uint16)).save(file, "PNG")
    bitmap = io.BytesIO()
    Image.new("RGB", (4, 4)).save(bitmap, "BMP")
    opened = Image.open(io.BytesIO(plain))
    assert png_rows.can_stream(opened, plain)
    assert not png_rows.can_stream(opened, interlaced)
    assert not png_rows.can_stream(Image.open(file), file.getvalue())
    assert not png_rows.can_stream(Image.open(bitmap), bitmap.getvalue())


def test_data_in_many_chunks_are_one_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compressed data of a picture may be divided anywhere into chunks."""
    _stream_all(monkeypatch, 1000)
    data = _file("RGB", 8, (120, 90))
    body = b"".join(image_data(data))
    pieces = [(b"IDAT", body[first : first + 701]) for first in range(0, len(body), 701)]
    divided = wrapped((b"IHDR", data[16:29]), *pieces, (b"IEND", b""))
    np.testing.assert_array_equal(_decoded(divided, (30, 40)), _decoded(data, (30, 40)))
