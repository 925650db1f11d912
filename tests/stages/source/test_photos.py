from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pdstore.errors import CorruptData
from stages.source.photos import DecodedPhoto, EncodedPhoto

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).resize((80, 60)).save(buffer, kind, quality=95)
    return buffer.getvalue()


def test_a_picture_in_memory_is_as_it_is() -> None:
    """It is its own frame, and is never reduced."""
    photo = DecodedPhoto(PIXELS)
    assert photo.size == (60, 80) and photo.pixels() is PIXELS
    assert photo.reduced(9.0)[0] is PIXELS and photo.reduced(9.0)[1] == (1.0, 1.0)


@pytest.mark.parametrize("frame", [(60, 80), (30, 40), (31, 40)])
def test_a_jpeg_is_reduced_from_the_files_own_pixels(frame: tuple[int, int]) -> None:
    """Its pixels are counted per pixel of the frame, along a row and along a column."""
    photo = EncodedPhoto(encoded("JPEG"), "a.jpg", (60, 80), frame)
    assert photo.pixels().shape == (*frame, 3)
    pixels, (along, down) = photo.reduced(4.2 * frame[1] / 80)
    assert (
        pixels.shape == (15, 20, 3) and along == pytest.approx(20 / frame[1]) and down == pytest.approx(15 / frame[0])
    )
    pixels, scale = photo.reduced(1.0)
    factor = 1 if frame == (60, 80) or frame == (31, 40) else 2
    assert pixels.shape == (60 // factor, 80 // factor, 3) and scale[0] == pytest.approx(80 / factor / frame[1])


def test_other_formats_are_brought_to_their_frame() -> None:
    """A PNG is decoded as before, and then has the frame's pixels."""
    photo = EncodedPhoto(encoded("PNG"), "a.png", (60, 80), (30, 40))
    pixels, scale = photo.reduced(8.0)
    assert np.array_equal(pixels, photo.pixels()) and pixels.shape == (30, 40, 3) and scale == (1.0, 1.0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_that_changed_is_corrupt(kind: str) -> None:
    """The error names the file and says what is wrong: it misses its end, or has another size than at ingest."""
    data = encoded(kind)
    with pytest.raises(CorruptData, match=r"a\.file: .*no longer as it was ingested: truncated"):
        EncodedPhoto(data[: len(data) // 2], "a.file", (60, 80), (60, 80)).reduced(1.0)
    with pytest.raises(CorruptData, match=r"it had 81x60 pixels, now 80x60"):
        EncodedPhoto(data, "a.file", (60, 81), (60, 80)).reduced(1.0)
