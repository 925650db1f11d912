from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from PIL import Image, features

from stages.source.frames import frame_of
from stages.source.images import ImageFault, decode, decode_ahead

NEEDS_AVIF = pytest.mark.skipif(not features.check("avif"), reason="this Pillow is built without AVIF")
PIXELS = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)


def encoded(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_upright(orientation: int) -> None:
    """A picture that was stored rotated or mirrored becomes upright, in each of the eight orientations."""
    flipped = PIXELS[::-1, ::-1]
    stored = {
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: flipped,
        4: PIXELS[::-1],
        5: PIXELS.swapaxes(0, 1),
        6: np.rot90(PIXELS, 1),
        7: flipped.swapaxes(0, 1),
        8: np.rot90(PIXELS, 3),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(buffer, "PNG", exif=exif)
    picture = decode(buffer.getvalue())
    assert picture.orientation == orientation
    assert (picture.pixels == PIXELS).all()


def within(longest: int) -> Callable[[tuple[int, int]], tuple[int, int]]:
    return partial(frame_of, longest=longest)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_comes_upright_in_its_frame(kind: str, orientation: int) -> None:
    """The frame is that of the upright picture, whose own size is told, too; its content is that of the whole."""
    dark_left = np.zeros((60, 200, 3), np.uint8)
    dark_left[:, 100:] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(dark_left).save(buffer, kind, exif=exif)
    whole, small = decode(buffer.getvalue()), decode(buffer.getvalue(), frame=within(40))
    size = (60, 200) if orientation in (1, 3) else (200, 60)
    assert whole.size == whole.pixels.shape[:2] == small.size == size
    assert small.pixels.shape == ((12, 40, 3) if orientation in (1, 3) else (40, 12, 3))
    expected = Image.fromarray(whole.pixels).resize(small.pixels.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(small.pixels.astype(int) - np.asarray(expected)).mean() < 6


def test_a_picture_that_fits_its_frame_is_as_it_is() -> None:
    """It is never enlarged."""
    data = encoded("PNG")
    assert np.array_equal(decode(data, frame=within(32)).pixels, decode(data).pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_huge_file_is_never_in_memory_as_a_whole(kind: str) -> None:
    """24 megapixels would take 72 MB as RGB; the frame is made from a fraction of that."""
    small, large = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (800, 600), (10, 200, 30)).save(small, kind)
    Image.new("RGB", (6000, 4000), (10, 200, 30)).save(large, kind)
    code = """
import resource, sys
from functools import partial
from stages.source.frames import frame_of
from stages.source.images import decode
small, large = (sys.stdin.buffer.read(int(size)) for size in sys.argv[1:])
decode(small, frame=partial(frame_of, longest=640))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
picture = decode(large, frame=partial(frame_of, longest=640))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, *picture.pixels.shape, *picture.size)
"""
    sizes = [str(len(file.getvalue())) for file in (small, large)]
    files = small.getvalue() + large.getvalue()
    done = subprocess.run([sys.executable, "-c", code, *sizes], input=files, capture_output=True, check=True)
    growth, *shape = map(int, done.stdout.split())
    assert shape == [427, 640, 3, 4000, 6000] and growth < 35


@pytest.mark.parametrize("value", [0, 9, 300])
def test_an_orientation_that_makes_no_sense_is_upright(value: int) -> None:
    """An invalid orientation is ignored."""
    exif = Image.Exif()
    exif[0x0112] = value
    picture = decode(encoded("PNG", exif=exif))
    assert picture.orientation == 1 and (picture.pixels == PIXELS).all()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # about damaged metadata, as here
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", pytest.param("AVIF", marks=NEEDS_AVIF)])
def test_damaged_bytes_give_a_fault_or_a_picture(kind: str) -> None:
    """Whatever bytes are flipped or missing, decoding gives either pixels or an ImageFault with a reason."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(kind, exif=exif) if kind in ("JPEG", "PNG", "WEBP") else encoded(kind)
    rng = np.random.default_rng(1)
    reasons = set()
    for _ in range(400):
        broken = bytearray(data)
        for place in rng.integers(0, len(data) if rng.random() < 0.5 else 120, 4):
            broken[place] = rng.integers(256)
        try:
            found = decode(bytes(broken[: rng.integers(len(data) // 2, 2 * len(data))]), 10**6)
        except ImageFault as fault:
            reasons.add(fault.reason)
        else:
            assert found.pixels.ndim == 3 and found.pixels.dtype == np.uint8
    assert reasons <= {"truncated", "damaged", "not_an_image", "too_large"}


@NEEDS_AVIF
def test_a_damaged_avif_is_a_fault() -> None:
    """Pillow raises RuntimeError for it, which must affect only the image and not its block."""
    data = bytearray(encoded("AVIF"))
    start = data.index(b"mdat") + 4
    data[start : start + 40] = bytes(40)
    with pytest.raises(ImageFault, match="Failed to decode") as caught:
        decode(bytes(data))
    assert caught.value.reason == "damaged"


def test_a_format_that_pillow_supports_in_part_is_a_fault() -> None:
    """Pillow raises NotImplementedError for a DDS file with an unknown pixel format."""
    with pytest.raises(ImageFault, match="Unknown pixel format") as caught:
        decode(b"DDS " + (124).to_bytes(4, "little") + bytes(200))
    assert caught.value.reason == "damaged"


def test_a_lack_of_memory_is_not_a_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """MemoryError is raised unchanged, so that the block is tried again."""

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("stages.source.images._to_rgb", full)
    with pytest.raises(MemoryError):
        decode(encoded("PNG"))


def test_sixteen_bits_keep_their_range() -> None:
    """16-bit grey is scaled down, not clipped."""
    values = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    picture = decode(buffer.getvalue())
    assert picture.mode == "PNG/I;16"
    assert np.abs(picture.pixels[..., 0].astype(float) - values / 257).max() <= 1
    assert (picture.pixels[..., 0] == picture.pixels[..., 2]).all()


def test_pictures_come_in_order_with_faults_among_them() -> None:
    """Decoding ahead keeps the order and returns a fault as a value; other errors are raised."""

    def load(item: int) -> int:
        if item % 7 == 3:
            raise ImageFault("damaged", str(item))
        return item * item

    found = list(decode_ahead(range(50), load, threads=3, ahead=5))
    assert [item for item, _ in found] == list(range(50))
    assert all(isinstance(r, ImageFault) if i % 7 == 3 else r == i * i for i, r in found)
    with pytest.raises(ZeroDivisionError):
        list(decode_ahead([1, 0], lambda item: 1 // item))
