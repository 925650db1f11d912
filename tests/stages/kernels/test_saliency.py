"""An object is found where something stands out, and only there."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from stages.kernels.saliency import salient_object


def picture(height: int, width: int, *, noise: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """A red ellipse with a blue spot on noisy grey, and the mask of the ellipse."""
    y, x = np.indices((height, width))
    ellipse = ((y - height * 0.45) / (height * 0.3)) ** 2 + ((x - width * 0.55) / (width * 0.25)) ** 2 < 1
    image = np.full((height, width, 3), 120.0)
    image[ellipse] = [200, 40, 30]
    image[int(height * 0.45) : int(height * 0.5), int(width * 0.5) : int(width * 0.55)] = [20, 30, 200]
    image += np.random.default_rng(0).normal(0, noise, image.shape)
    return image.clip(0, 255).astype(np.uint8), ellipse


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("size", [(96, 96), (240, 320), (480, 640)])
def test_finds_what_stands_out(size: tuple[int, int]) -> None:
    """An ellipse on a plain background is found with its hole filled, at any size, and with a high score."""
    image, truth = picture(*size)
    found = salient_object(image)
    assert found.mask.shape == size
    assert found.mask.dtype == np.bool_
    assert iou(found.mask, truth) > 0.9
    assert found.score > 0.5


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (3, 2), (64, 96)])
def test_flat_image_has_no_object(height: int, width: int) -> None:
    """In an image of one colour nothing stands out: the mask is empty and the score 0."""
    found = salient_object(np.full((height, width, 3), 128, np.uint8))
    assert found.mask.shape == (height, width)
    assert not found.mask.any()
    assert found.score == 0


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 30), (700, 9)])
def test_odd_shapes(shape: tuple[int, int]) -> None:
    """Images with very few pixels or an extreme shape give a mask of their size and a score in 0..1."""
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    found = salient_object(noise)
    assert found.mask.shape == shape
    assert 0 <= found.score <= 1
    assert found.mask.any() == (found.score > 0)


def test_photograph_of_a_cup() -> None:
    """On a photograph the mask covers cup and saucer, but not the corners of the table."""
    mask = salient_object(data.coffee()).mask
    assert mask[100:300, 240:360].mean() > 0.95
    assert not any(corner.any() for corner in (mask[:60, :60], mask[:60, -60:], mask[-60:, :60], mask[-60:, -60:]))


def test_silhouette_of_a_horse() -> None:
    """The mask follows a silhouette to a few pixels."""
    truth = ~data.horse().astype(bool)
    image = np.where(truth[..., None], 30, 240).repeat(3, 2).astype(np.uint8)
    assert iou(salient_object(image).mask, truth) > 0.85


def test_same_image_same_mask() -> None:
    """Two calls give equal bytes."""
    image, _ = picture(120, 160, noise=25)
    first, second = salient_object(image), salient_object(image)
    assert np.array_equal(first.mask, second.mask)
    assert first.score == second.score
