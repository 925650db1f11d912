import numpy as np
import pytest

from schemas.training import AugmentSettings
from stages.train.augment import augment

OFF = AugmentSettings(size_px=64, flip_ratio=0, crop_min_ratio=1, scale_min=1, scale_max=1)
ALL = AugmentSettings(
    size_px=64, crop_min_ratio=0.7, scale_min=0.5, scale_max=1.5, rotation_rad=0.4, shift_ratio=0.2, colour=0.3
)


def square(size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    masks = np.zeros((2, size, size), bool)
    masks[0, 5:20, 8:40] = masks[1, 30:60, 30:50] = True
    return image, masks


def test_all_off_leaves_the_image_as_it_is() -> None:
    """If no change is set, no pixel is resampled."""
    image, masks = square()
    same_image, same_masks = augment(image, masks, OFF, 0, 0, 0)
    assert np.array_equal(same_image, image) and np.array_equal(same_masks, masks)


def test_a_flip_mirrors_image_and_masks_exactly() -> None:
    """Flips are left to right and exact."""
    image, masks = square()
    settings = OFF.model_copy(update={"flip_ratio": 1.0})
    flipped_image, flipped_masks = augment(image, masks, settings, 0, 0, 0)
    assert np.array_equal(flipped_image, image[:, ::-1]) and np.array_equal(flipped_masks, masks[:, :, ::-1])


def test_changes_depend_on_seed_epoch_and_image_alone() -> None:
    """The same three numbers give the same bytes; if one of them differs, the bytes differ."""
    image, masks = square()
    first = augment(image, masks, ALL, 1, 2, 3)
    assert all(np.array_equal(a, b) for a, b in zip(first, augment(image, masks, ALL, 1, 2, 3), strict=True))
    for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert not np.array_equal(first[0], augment(image, masks, ALL, *key)[0])


@pytest.mark.parametrize("image_id", range(8))
def test_masks_move_with_the_image(image_id: int) -> None:
    """A mask that is painted into the image ends up where the changed mask is, up to the resampled border."""
    masks = square()[1][:1]
    image = np.where(masks[0][..., None], np.uint8(255), np.uint8(0)) * np.ones(3, np.uint8)
    settings = ALL.model_copy(update={"colour": 0.0, "shift_ratio": 0.0, "crop_min_ratio": 1.0, "scale_max": 0.9})
    changed, moved = augment(image, masks, settings, 0, 0, image_id)
    bright = changed.min(-1) > 200
    assert (bright & ~moved[0]).sum() <= 0.1 * moved.sum()
    assert (moved[0] & ~bright).sum() <= 0.25 * moved.sum()


@pytest.mark.parametrize("count", [1, 8, 9, 19])
def test_masks_move_independently_of_each_other(count: int) -> None:
    """However many overlapping masks an image has, and whatever their memory layout, each changes as if alone."""
    image, rng = square()[0], np.random.default_rng(count)
    masks = np.asfortranarray(rng.random((count, 64, 64)) < 0.4)
    together = augment(image, masks, ALL, 3, 0, 0)[1]
    assert together.shape == (count, 64, 64) and together.dtype == bool and 0.05 < together.mean() < 0.4
    for mask, moved in zip(masks, together, strict=True):
        assert np.array_equal(augment(image, mask[None], ALL, 3, 0, 0)[1][0], moved)


def test_any_frame_is_fitted_into_the_square_and_large_images_are_averaged() -> None:
    """A wide image is fitted by its long side, and shrinking averages pixels instead of picking some."""
    image = np.zeros((200, 400, 3), np.uint8)
    image[:, ::2] = 200
    pixels, masks = augment(image, np.ones((1, 200, 400), bool), OFF, 0, 0, 0)
    assert pixels.shape == (64, 64, 3) and masks.shape == (1, 64, 64)
    assert masks.sum() == 64 * 32
    assert abs(pixels[masks[0]].mean() - 100) < 3


def test_no_masks_stay_no_masks() -> None:
    """An image without parts can be augmented."""
    assert augment(square()[0], np.zeros((0, 64, 64), bool), ALL, 0, 0, 0)[1].shape == (0, 64, 64)
