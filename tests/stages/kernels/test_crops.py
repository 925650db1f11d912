"""Crops of single masks."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from stages.kernels.crops import draw_crop, mosaic
from stages.kernels.pictures import colour_of


def crop_of(pixels: np.ndarray, mask: np.ndarray, side_px: int = 80) -> np.ndarray:
    """(side, side, 4) uint8 RGBA."""
    return np.asarray(draw_crop(pixels, mask, 0, side_px))


def test_the_mask_keeps_its_colours_and_the_rest_is_grey() -> None:
    """Inside, green stays greenest; outside, all channels are equal; the outline has the mask's colour."""
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[...] = (40, 200, 90)
    mask = np.zeros((100, 100), bool)
    mask[40:60, 40:60] = True
    drawn = crop_of(pixels, mask).astype(int)
    red, green, blue, alpha = drawn[40, 40]
    assert green > red and green > blue and alpha == 255
    assert np.ptp(drawn[2, 2, :3]) <= 1
    # The box is 20 pixels of 32, so it ends at pixel 15 of 80.
    edge = drawn[40, 10:20, :3]
    assert np.abs(edge - np.array(colour_of(0))).sum(1).min() < 60


@pytest.mark.parametrize("box", [(0, 0, 6, 6), (94, 94, 100, 100), (0, 0, 100, 100), (10, 10, 11, 11)])
def test_a_crop_stays_inside_a_square_image(box: tuple[int, int, int, int]) -> None:
    """Wherever the mask is and whatever its size, the crop is full: nothing of it is transparent."""
    mask = np.zeros((100, 100), bool)
    mask[box[0] : box[2], box[1] : box[3]] = True
    drawn = crop_of(np.full((100, 100, 3), 90, np.uint8), mask)
    assert drawn.shape == (80, 80, 4) and drawn[..., 3].min() == 255


def test_a_mask_longer_than_the_image_is_tall_is_shown_whole() -> None:
    """In a wide picture, the crop is as wide as the mask, and transparent above and below the picture."""
    pixels = np.full((20, 200, 3), 128, np.uint8)
    mask = np.zeros((20, 200), bool)
    mask[5:15, 20:180] = True
    alpha = crop_of(pixels, mask)[..., 3]
    assert alpha[40].min() == 255 and alpha[0].max() == 0 and alpha[-1].max() == 0
    assert (alpha[:, 40] > 0).sum() == pytest.approx(80 * 20 / 160, abs=1)


def test_a_mask_of_another_size_lies_over_the_whole_image() -> None:
    """A mask in a frame of half the size gives the picture of the same mask at full size."""
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
    small = np.zeros((32, 48), bool)
    small[8:20, 10:30] = True
    assert np.array_equal(crop_of(pixels, small), crop_of(pixels, small.repeat(2, 0).repeat(2, 1)))


def test_a_mosaic_fills_its_rows() -> None:
    """Three pictures in two columns: the fourth place and the gaps are transparent."""
    tiles = [Image.new("RGBA", (10, 10), (value, 0, 0, 255)) for value in (50, 100, 150)]
    sheet = np.asarray(mosaic(tiles, 2, 4))
    assert sheet.shape == (24, 24, 4)
    assert [int(sheet[y, x, 0]) for y, x in ((0, 0), (0, 23), (23, 0))] == [50, 100, 150]
    assert sheet[23, 23, 3] == 0 and sheet[:, 10:14, 3].max() == 0
