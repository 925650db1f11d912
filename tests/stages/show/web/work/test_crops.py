from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pdstore.errors import InputMissing, UsageError
from stages.kernels.pictures import colour_of
from stages.show.web.drawing import Drawings
from stages.show.web.snapshots import Snapshot
from stages.show.web.work.crops import FADE, LIGHT, crop, draw_crop


def test_the_segment_is_in_the_middle_and_keeps_its_pixels() -> None:
    """Inside the segment the picture is as it was, around it is faded, and the outline has the colour."""
    pixels = np.full((200, 300, 3), 100, np.uint8)
    mask = np.zeros((200, 300), bool)
    mask[60:100, 200:240] = True
    drawn = np.asarray(draw_crop(pixels, mask, 3, 112)).astype(int)
    assert drawn.shape == (112, 112, 3)
    # The square is 1.4 times the box of 40 pixels, so the segment is 80 of 112 pixels.
    assert np.abs(drawn[30:82, 30:82] - 100).max() <= 1
    outside = round(FADE * 100 + (1 - FADE) * LIGHT)
    assert np.abs(drawn[:12] - outside).max() <= 1 and np.abs(drawn[:, 100:] - outside).max() <= 1
    assert np.abs(drawn[56, 16] - colour_of(3)).max() < 40


def test_a_segment_at_the_border_and_an_empty_one() -> None:
    """What lies outside of the picture is grey; without a segment the whole picture is shown."""
    pixels = np.zeros((50, 50, 3), np.uint8)
    mask = np.zeros((50, 50), bool)
    mask[:10, :10] = True
    drawn = np.asarray(draw_crop(pixels, mask, 0, 60)).astype(int)
    assert drawn[2, 2].tolist() == [LIGHT] * 3
    assert draw_crop(pixels, np.zeros((50, 50), bool), 0, 60).size == (60, 60)


def test_a_crop_of_a_store(snapshot: Snapshot) -> None:
    """A crop is a square JPEG; other keys are other pictures, and what is not there is an error."""
    drawings = Drawings()
    rows = snapshot.rows("SELECT image_id, object_id, label_id FROM labels ORDER BY ALL LIMIT 2")
    first, second = (tuple(row.values()) for row in rows)
    drawn = crop(drawings, snapshot, "labels", first, 120)  # type: ignore[arg-type]
    assert Image.open(io.BytesIO(drawn.data)).size == (120, 120)
    other = crop(drawings, snapshot, "labels", second, 120)  # type: ignore[arg-type]
    assert other.etag != drawn.etag and other.data != drawn.data
    with pytest.raises(InputMissing, match="no such mask"):
        crop(drawings, snapshot, "labels", (first[0], first[1], 99), 120)
    with pytest.raises(UsageError, match="expected a size of 120, 240"):
        crop(drawings, snapshot, "labels", (0, 0, 0), 5000)
