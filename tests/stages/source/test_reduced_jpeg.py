from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stages.source.images import ImageFault, decode
from stages.source.reduced_jpeg import decode_plain_jpeg

SMALL = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8))
PIXELS = np.asarray(SMALL.resize((123, 91)))
SIZE = (91, 123)


def encoded(mode: str = "RGB", pixels: np.ndarray = PIXELS, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


PLAIN = {
    "4:2:0": encoded(),
    "4:2:2": encoded(subsampling=1),
    "4:4:4": encoded(subsampling=0),
    "progressive": encoded(progressive=True),
    "restarts": encoded(restart_marker_rows=1),
    "stored as RGB": encoded(keep_rgb=True),
    "grey": encoded("L"),
    "coarse": encoded(quality=5),
    "fine": encoded(quality=100),
}


@pytest.mark.parametrize("name", PLAIN)
def test_at_full_size_every_pixel_is_pillows(name: str) -> None:
    """Both decode by libjpeg-turbo with its accurate transform and smooth upsampling: the bytes are equal."""
    found = decode_plain_jpeg(PLAIN[name], SIZE, 1.9)
    assert found is not None and found[1] == 1
    assert np.array_equal(found[0], decode(PLAIN[name]).pixels)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(("shrink", "factor"), [(2.0, 2), (3.9, 2), (4.0, 4), (7.9, 4), (8.0, 8), (50.0, 8)])
def test_a_fraction_is_the_mean_of_the_pixels_below_it(name: str, shrink: float, factor: int) -> None:
    """Pixel x of a picture that is n times smaller lies over the pixels n·x to n·x + n."""
    found = decode_plain_jpeg(PLAIN[name], SIZE, shrink)
    assert found is not None and found[1] == factor
    expected = np.asarray(Image.fromarray(decode(PLAIN[name]).pixels).reduce(factor))
    assert found[0].shape == expected.shape
    # Of 4:2:2, libjpeg-turbo takes half the colours along a row at fractions, too.
    assert np.abs(found[0].astype(int) - expected).mean() < (8 if name == "4:2:2" else 3)


@pytest.mark.parametrize("height", [1, 3, 8, 15, 16, 17])
@pytest.mark.parametrize("width", [1, 5, 16, 31])
def test_small_pictures_have_the_size_that_their_factor_says(height: int, width: int) -> None:
    """Sizes are rounded up; below 16 pixels a picture is not reduced."""
    data = encoded(pixels=np.ascontiguousarray(PIXELS[:height, :width]))
    for shrink in (1, 2, 4, 8):
        found = decode_plain_jpeg(data, (height, width), shrink)
        assert found is not None and found[1] == (shrink if max(height, width) >= 16 else 1)
        assert found[0].shape == (-(-height // found[1]), -(-width // found[1]), 3)


def oriented(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize(
    "data",
    [
        encoded("CMYK"),
        encoded(kind="PNG"),
        encoded(exif=oriented(6)),
        encoded(exif=oriented(3)),
        encoded(exif=oriented(9)),
        encoded()[:-2],
        encoded()[:-300],
        encoded()[:-300] + b"\xff\xd9",
        encoded()[:40],
        b"\xff\xd8\xff",
        b"",
    ],
)
def test_what_is_not_plain_is_left_to_the_other_decoder(data: bytes) -> None:
    """Other colours and formats, pictures that lie on their side, and files that miss something are not decoded."""
    assert decode_plain_jpeg(data, SIZE, 1) is None


def test_a_picture_of_another_size_is_not_decoded() -> None:
    """The caller knows the size that was ingested; an upright orientation says nothing new."""
    assert decode_plain_jpeg(encoded(), (91, 124), 1) is None
    assert decode_plain_jpeg(encoded(exif=oriented(1)), SIZE, 1) is not None


def test_large_pictures_are_left_to_the_decoder_that_takes_them_one_by_one() -> None:
    """12 megapixels are decoded at a half, and not as a whole."""
    data = encoded(pixels=np.zeros((3000, 4000, 3), np.uint8))
    assert decode_plain_jpeg(data, (3000, 4000), 1) is None
    found = decode_plain_jpeg(data, (3000, 4000), 2)
    assert found is not None and found[0].shape == (1500, 2000, 3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # about damaged metadata, as here
@pytest.mark.parametrize("name", ["4:2:0", "progressive", "grey"])
def test_no_damaged_file_is_accepted_that_the_other_decoder_refuses(name: str) -> None:
    """Whatever bytes are flipped or missing: what is decoded has just the pixels that the other decoder gives."""
    rng, accepted, refused = np.random.default_rng(1), 0, 0
    for _ in range(300):
        broken = bytearray(PLAIN[name])
        for place in rng.integers(0, len(broken) if rng.random() < 0.5 else 700, rng.integers(1, 4)):
            broken[place] = rng.integers(256)
        data = bytes(broken[: rng.integers(len(broken) // 2, 2 * len(broken))])
        found = decode_plain_jpeg(data, SIZE, 1)
        try:
            expected = decode(data, 10**6).pixels
        except ImageFault:
            assert found is None
            refused += 1
        else:
            assert found is None or np.array_equal(found[0], expected)
            accepted += found is not None
    assert accepted > 20 and refused > 20
