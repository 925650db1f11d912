"""Augmentation, compared with that of earlier versions, on decoded pictures and masks in Pillow and NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.training import AugmentSettings
from tests.stages.train import pillow_augment
from tests.stages.train.test_augment import ALL, OFF, augment, changed, square

SHAPES = [(64, 64), (48, 80), (1, 50), (50, 1), (1, 1), (375, 500), (130, 40)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "settings",
    [
        changed(ALL, colour=0.0),
        AugmentSettings(size_px=64),
        changed(OFF, flip_ratio=0.5),
        AugmentSettings(size_px=96, crop_min_ratio=0.3, scale_min=0.4, scale_max=3, shift_ratio=0.3),
    ],
)
def test_masks_and_targets_are_those_of_pillow(shape: tuple[int, int], settings: AugmentSettings) -> None:
    """What is drawn and which pixels masks have is just what Pillow's transform of decoded masks gives."""
    rng = np.random.default_rng(1)
    for image_id in range(10):
        masks = rng.random((rng.integers(0, 11), *shape)) < rng.choice([0.003, 0.5, 1])
        image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        objects = rng.integers(0, 3, len(masks))
        expected = pillow_augment.augment(image, masks, settings, 7, 1, image_id, 0.02, objects)
        found = augment(image, masks, settings, 7, 1, image_id, 0.02, objects)
        assert found[2].tolist() == expected[2].tolist() and np.array_equal(found[1], expected[1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "settings", [changed(ALL, colour=0.0), AugmentSettings(size_px=64), changed(OFF, flip_ratio=1)]
)
def test_pictures_are_those_of_pillow_up_to_rounding(shape: tuple[int, int], settings: AugmentSettings) -> None:
    """On noise, colours differ by a level, which Pillow rounds off; what no mask can cover is padding."""
    rng, masks, away = np.random.default_rng(2), np.ones((1, *shape), bool), []
    for image_id in range(8):
        image = rng.integers(0, 128, (*shape, 3), dtype=np.uint8)
        expected = pillow_augment.augment(image, masks, settings, 3, 0, image_id)[0].astype(int)
        found, (inside,), _ = augment(image, masks, settings, 3, 0, image_id)
        assert (found[~inside] == 128).all()
        # Of a turned picture, Pillow's two transforms differ at single pixels of the border.
        shown = inside & (expected.max(-1) < 128)
        assert (inside & ~shown).sum() <= 0.01 * inside.sum() + 2
        away.append((found - expected)[shown])
    difference = np.concatenate(away)
    assert np.mean(np.abs(difference) > 1) < 0.003 and 0 <= difference.mean() < 1


@pytest.mark.parametrize("settings", [changed(ALL, colour=0.4), changed(OFF, colour=0.4)])
def test_colours_are_those_of_the_former_arithmetic(settings: AugmentSettings) -> None:
    """The matrix and the mean do to a picture what the sum of its planes did, up to a level."""
    image, masks = square()
    for image_id in range(10):
        expected = pillow_augment.augment(image, masks, settings, 0, 0, image_id)[0].astype(int)
        found = augment(image, masks, settings, 0, 0, image_id)[0]
        assert np.quantile(np.abs(found - expected), 0.99) <= 3
