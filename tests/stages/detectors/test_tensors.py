"""Pictures as input of a network, and masks from its output."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.detectors.tensors import candidates, long_side_size, stack, standardised

CPU = torch.device("cpu")


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "long_side", "size"),
    [(60, 80, 40, (30, 40)), (80, 60, 160, (160, 120)), (60, 80, 0, (60, 80)), (1, 1000, 10, (1, 10))],
)
def test_the_long_side_is_set_and_the_aspect_kept(
    height: int, width: int, long_side: int, size: tuple[int, int]
) -> None:
    """0 keeps the picture's size, and no side shrinks to nothing."""
    assert long_side_size(picture(height, width), long_side) == size


def test_pictures_of_any_size_are_stacked() -> None:
    """The result is (B, 3, H, W) float32 in 0..255, channels first; a picture of that size is not changed."""
    pictures = [picture(6, 8), picture(12, 10)]
    batch = stack(pictures, (6, 8), CPU)
    assert batch.shape == (2, 3, 6, 8) and batch.dtype == torch.float32
    assert torch.equal(batch[0], torch.from_numpy(pictures[0]).permute(2, 0, 1).float())
    assert batch.min() >= 0 and batch.max() <= 255


def test_reduced_pictures_are_smoothed() -> None:
    """A fine pattern becomes its mean instead of an alias of itself."""
    pattern = np.zeros((64, 64, 3), np.uint8)
    pattern[:, ::2] = 200
    assert torch.allclose(stack([pattern], (8, 8), CPU)[..., 1:-1], torch.tensor(100.0), atol=8)


def test_standardised_pixels_have_the_given_mean_and_deviation() -> None:
    """Each channel is scaled to 0..1 first; its mean becomes 0 and one deviation more becomes 1."""
    mean, std = (0.2, 0.4, 0.6), (0.1, 0.2, 0.4)
    rows = [[255 * m for m in mean], [255 * (m + s) for m, s in zip(mean, std, strict=True)]]
    images = torch.tensor(rows).view(2, 3, 1, 1).expand(2, 3, 4, 5)
    assert torch.allclose(standardised(images, mean, std), torch.tensor([0.0, 1]).view(2, 1, 1, 1), atol=1e-5)


def test_candidates_have_the_pixels_of_the_picture() -> None:
    """Logits of any resolution become bool masks of the picture's size: positive is inside."""
    logits = torch.full((2, 4, 4), -5.0)
    logits[0, :, :2] = 5
    found = candidates(logits, torch.tensor([0.75, 0.5], dtype=torch.bfloat16), picture(40, 60))
    assert found.masks.shape == (2, 40, 60) and found.masks.dtype == bool
    assert found.masks[0, :, :30].all() and not found.masks[0, :, 30:].any() and not found.masks[1].any()
    assert found.scores.tolist() == [0.75, 0.5] and found.scores.dtype == np.float32


def test_no_candidates_have_the_size_of_the_picture_too() -> None:
    """Without scores there are no masks, whatever the size of the logits."""
    found = candidates(torch.zeros(0, 1, 1), torch.zeros(0), picture(40, 60))
    assert found.masks.shape == (0, 40, 60) and found.masks.dtype == bool and found.scores.shape == (0,)
