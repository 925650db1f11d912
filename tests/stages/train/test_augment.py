from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schemas.training import AugmentSettings
from stages.source.photos import DecodedPhoto
from stages.train import augment as module
from stages.train.stored_masks import StoredMasks

OFF = AugmentSettings(size_px=64, flip_ratio=0, crop_min_ratio=1, scale_min=1, scale_max=1)
ALL = AugmentSettings(
    size_px=64, crop_min_ratio=0.7, scale_min=0.5, scale_max=1.5, rotation_rad=0.4, shift_ratio=0.2, colour=0.3
)
DRAWS = 1000


def augment(image: np.ndarray, masks: np.ndarray, *drawn_by: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(S, S, 3) uint8, (M, S, S) bool and (M,) int64, the numbers of the targets."""
    stored = StoredMasks.encode(masks)
    change = module.draw(stored, *drawn_by)
    side = change.view.side
    pixels = np.empty((side, side, 3), np.uint8)
    return pixels, module.augment(DecodedPhoto(image), stored, change, pixels), change.targets


def changed(settings: AugmentSettings, **values: Any) -> AugmentSettings:
    return settings.model_copy(update=values)


def square(size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    masks = np.zeros((2, size, size), bool)
    masks[0, 5:20, 8:40] = masks[1, 30:60, 30:50] = True
    return image, masks


def reference(height: int, width: int, size: int, scale: float, crop: float, rng: np.random.Generator) -> np.ndarray:
    """(height, width) bool: what one draw of the original's flip, crop, resize and square shows of a picture.

    Every pixel of the picture carries its number through the steps, one after the other, as an index array; detectron2
    resizes by interpolation, here a pixel of the output takes the number at its centre.
    """
    numbers = np.arange(height * width).reshape(height, width)
    if rng.random() < 0.5:
        numbers = numbers[:, ::-1]
    window_h, window_w = (int(side * (crop + (1 - crop) * rng.random()) + 0.5) for side in (height, width))
    top, left = rng.integers(height - window_h + 1), rng.integers(width - window_w + 1)
    numbers = numbers[top : top + window_h, left : left + window_w]
    fit = min(size * scale / window_h, size * scale / window_w)
    new_h, new_w = round(window_h * fit), round(window_w * fit)
    rows = ((np.arange(new_h) + 0.5) * window_h / new_h).astype(int)
    columns = ((np.arange(new_w) + 0.5) * window_w / new_w).astype(int)
    numbers = numbers[rows][:, columns]
    place = rng.random()
    top, left = (round(max(side - size, 0) * place) for side in numbers.shape)
    seen = np.zeros(height * width, bool)
    seen[numbers[top : top + size, left : left + size]] = True
    return seen.reshape(height, width)


def spots(height: int, width: int) -> np.ndarray:
    """(10, height, width) bool: 6 x 6 pixels at each corner, edge and the centre, and the whole picture."""
    masks = np.zeros((10, height, width), bool)
    for number in range(9):
        y, x = (number // 3) * (height - 6) // 2, (number % 3) * (width - 6) // 2
        masks[number, y : y + 6, x : x + 6] = True
    masks[9] = True
    return masks


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 80)])
@pytest.mark.parametrize("scale", [0.3, 1.0, 1.3, 1.6, 2.0])
def test_corners_edges_and_centre_are_seen_as_often_as_in_the_original(height: int, width: int, scale: float) -> None:
    """For each scale, a corner, an edge and the centre are seen with the probabilities of detectron2's transforms."""
    masks, image = spots(height, width), np.zeros((height, width, 3), np.uint8)
    settings = AugmentSettings(size_px=64, crop_min_ratio=0.9, scale_min=scale, scale_max=scale)
    ours = np.zeros(10)
    for image_id in range(DRAWS):
        ours[augment(image, masks, settings, 0, 0, image_id)[2]] += 1
    rng = np.random.default_rng(0)
    theirs = sum((masks & reference(height, width, 64, scale, 0.9, rng)).any((1, 2)) for _ in range(DRAWS))
    both = (ours + theirs) / (2 * DRAWS)
    assert (abs(ours - theirs) / DRAWS <= 4 * np.sqrt(2 * both * (1 - both) / DRAWS) + 1e-9).all()
    if scale > 1.5:
        assert (ours[[0, 2, 6, 8]] > 0.02 * DRAWS).all() and (ours[:9] < DRAWS).any()


def test_a_window_smaller_than_the_square_lies_at_its_top_left() -> None:
    """What remains to the right and below is grey, and no part of any mask."""
    image = np.full((40, 64, 3), 7, np.uint8)
    pixels, masks, targets = augment(
        image, np.ones((1, 40, 64), bool), changed(OFF, scale_min=0.5, scale_max=0.5), 0, 0, 0
    )
    assert masks[0, :20, :32].all() and masks.sum() == 20 * 32 and targets.tolist() == [0]
    assert (pixels[:19, :31] == 7).all() and (pixels[20:] == 128).all() and (pixels[:, 32:] == 128).all()


def test_a_window_shows_nothing_outside_it() -> None:
    """What the window leaves out is padding and does not come back at a small scale."""
    settings = changed(OFF, crop_min_ratio=0.5, scale_min=0.25, scale_max=0.25)
    for image_id in range(20):
        pixels, masks, _ = augment(
            np.zeros((64, 64, 3), np.uint8), np.ones((1, 64, 64), bool), settings, 0, 0, image_id
        )
        assert masks[0, :16, :16].any(0).any() and not masks[0, 16:].any() and not masks[0, :, 16:].any()
        assert (pixels[17:] == 128).all() and (pixels[:, 17:] == 128).all()


def test_the_square_moves_over_a_larger_window_along_its_diagonal() -> None:
    """One number places the square in both directions; over many draws it is uniform."""
    ramp = np.indices((64, 64)).astype(np.uint8).transpose(1, 2, 0)
    image, places = np.dstack([ramp, ramp[..., :1]]), []
    for image_id in range(300):
        pixels = augment(image, np.ones((1, 64, 64), bool), changed(OFF, scale_min=2, scale_max=2), 0, 0, image_id)[0]
        assert abs(int(pixels[32, 32, 0]) - int(pixels[32, 32, 1])) <= 1
        places.append(int(pixels[32, 32, 0]) - 16)
    assert np.histogram(places, 4, (0, 32))[0].min() > 40


def test_small_parts_of_what_is_visible_are_no_targets() -> None:
    """A mask is kept if it has more than a share of the visible area of all masks, whatever its share of the object."""
    masks = np.zeros((4, 64, 64), bool)
    masks[0, :, :20] = masks[1, :, 20:23] = masks[2, :8, 60:] = True
    assert augment(np.zeros((64, 64, 3), np.uint8), masks, OFF, 0, 0, 0)[2].tolist() == [0, 1, 2]
    assert augment(np.zeros((64, 64, 3), np.uint8), masks, OFF, 0, 0, 0, 0.05)[2].tolist() == [0, 1]
    kept = set()
    for image_id in range(60):
        image, settings = np.zeros((64, 64, 3), np.uint8), changed(OFF, crop_min_ratio=0.3)
        _, seen, targets = augment(image, masks, settings, 0, 0, image_id, 0.05)
        everything = augment(image, masks, settings, 0, 0, image_id)
        areas = everything[1].sum((1, 2))
        assert targets.tolist() == everything[2][areas > 0.05 * areas.sum()].tolist()
        assert (seen == everything[1][areas > 0.05 * areas.sum()]).all()
        kept.add(tuple(targets.tolist()))
    assert {(1,), (2,), (0, 1)} <= kept


def test_a_small_object_keeps_its_parts_beside_a_large_one() -> None:
    """A part is compared with the parts of its own object, since a sample of the original has one object."""
    masks = np.zeros((4, 64, 64), bool)
    masks[0, :, :40] = masks[1, :8, 50:54] = masks[2, 8:16, 50:54] = masks[3, 16:17, 50:51] = True
    objects = np.array([7, 3, 3, 3])
    assert augment(np.zeros((64, 64, 3), np.uint8), masks, OFF, 0, 0, 0, 0.05)[2].tolist() == [0]
    assert augment(np.zeros((64, 64, 3), np.uint8), masks, OFF, 0, 0, 0, 0.05, objects)[2].tolist() == [0, 1, 2]


def test_a_draw_without_a_target_is_taken_again() -> None:
    """A small mask that most crops miss is a target of every sample."""
    masks = np.zeros((1, 64, 64), bool)
    masks[0, :6, :6] = True
    settings = changed(OFF, scale_min=2, scale_max=2)
    alone = [augment(np.zeros((64, 64, 3), np.uint8), masks, settings, 0, 0, i) for i in range(100)]
    assert all(targets.tolist() == [0] and seen.any() for _, seen, targets in alone)
    both = np.concatenate([masks, np.ones((1, 64, 64), bool)])
    others = [augment(np.zeros((64, 64, 3), np.uint8), both, settings, 0, 0, i)[2].tolist() for i in range(100)]
    assert 5 < sum(targets == [0, 1] for targets in others) < 50


def test_after_a_hundred_draws_the_picture_is_only_flipped() -> None:
    """A mask at the corner that no crop shows is a target of the whole picture; a mask that no draw shows is none."""
    image, masks = square()[0], np.zeros((1, 64, 64), bool)
    masks[0, 0, 63] = True
    settings = changed(ALL, flip_ratio=0, scale_min=900, scale_max=1000, colour=0, rotation_rad=0, shift_ratio=0)
    pixels, seen, targets = augment(image, masks, settings, 0, 0, 0)
    assert (pixels == image).all() and (seen == masks).all() and targets.tolist() == [0]
    flipped = augment(image, masks, changed(settings, flip_ratio=1.0), 0, 0, 0)
    assert (flipped[0] == image[:, ::-1]).all() and (flipped[1] == masks[..., ::-1]).all()
    many = np.arange(64 * 64).reshape(64, 1, 64) // 64 == np.arange(64)[:, None, None]
    assert len(augment(image, np.repeat(many, 64, 1)[:, :64], ALL, 0, 0, 0, 0.9)[2]) == 0


def test_all_off_leaves_the_image_as_it_is() -> None:
    """If no change is set, no pixel is resampled."""
    image, masks = square()
    same_image, same_masks, targets = augment(image, masks, OFF, 0, 0, 0)
    assert np.array_equal(same_image, image) and np.array_equal(same_masks, masks) and targets.tolist() == [0, 1]


def test_a_flip_mirrors_image_and_masks_exactly() -> None:
    """Flips are left to right and exact."""
    image, masks = square()
    flipped_image, flipped_masks, _ = augment(image, masks, changed(OFF, flip_ratio=1.0), 0, 0, 0)
    assert np.array_equal(flipped_image, image[:, ::-1]) and np.array_equal(flipped_masks, masks[:, :, ::-1])


def test_changes_depend_on_seed_epoch_and_image_alone() -> None:
    """The same three numbers give the same bytes, redrawn or not; if one of them differs, the bytes differ."""
    image, masks = square()
    masks[0] = False
    masks[0, :2, :2] = True
    for some in (masks, masks[:1]):
        first = augment(image, some, ALL, 1, 2, 3)
        assert all(np.array_equal(a, b) for a, b in zip(first, augment(image, some, ALL, 1, 2, 3), strict=True))
        for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
            assert not np.array_equal(first[0], augment(image, some, ALL, *key)[0])


@pytest.mark.parametrize("image_id", range(8))
def test_masks_move_with_the_image(image_id: int) -> None:
    """A mask that is painted into the image ends up where the changed mask is, up to the resampled border."""
    masks = square()[1][:1]
    image = np.where(masks[0][..., None], np.uint8(255), np.uint8(0)) * np.ones(3, np.uint8)
    pixels, moved, _ = augment(image, masks, changed(ALL, colour=0.0, shift_ratio=0.0, scale_max=0.9), 0, 0, image_id)
    bright = pixels.min(-1) > 200
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


def test_a_rotated_picture_turns_about_its_own_middle() -> None:
    """The middle of a picture that is smaller than the square stays in its place, and a shift moves it."""
    mask = np.zeros((1, 64, 64), bool)
    mask[0, 30:34, 30:34] = True
    image, turned = np.zeros((64, 64, 3), np.uint8), changed(OFF, scale_min=0.5, scale_max=0.5, rotation_rad=1.5)
    for image_id in range(10):
        moved = augment(image, mask, turned, 0, 0, image_id)[1]
        assert np.abs(np.argwhere(moved[0]).mean(0) - 15.5).max() < 0.6
    middles = np.array(
        [np.argwhere(augment(image, mask, changed(OFF, shift_ratio=0.25), 0, 0, i)[1][0]).mean(0) for i in range(60)]
    )
    assert 12 < np.abs(middles - 31.5).max() <= 16.5


def test_any_frame_is_fitted_into_the_square_and_large_images_are_averaged() -> None:
    """A wide image is fitted by its long side, and shrinking averages pixels instead of picking some."""
    image = np.zeros((200, 400, 3), np.uint8)
    image[:, ::2] = 200
    pixels, masks, _ = augment(image, np.ones((1, 200, 400), bool), OFF, 0, 0, 0)
    assert pixels.shape == (64, 64, 3) and masks.shape == (1, 64, 64)
    assert masks.sum() == 64 * 32
    assert abs(pixels[masks[0]].mean() - 100) < 3


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (3, 2)])
def test_thin_pictures_keep_a_pixel(shape: tuple[int, int]) -> None:
    """A side that a small scale would shrink to nothing is one pixel wide."""
    settings = changed(ALL, scale_min=0.1, scale_max=0.1)
    for image_id in range(5):
        pixels, masks, _ = augment(
            np.zeros((*shape, 3), np.uint8), np.ones((1, *shape), bool), settings, 0, 0, image_id
        )
        assert pixels.shape == (64, 64, 3) and masks.shape[1:] == (64, 64)


def test_no_masks_stay_no_masks() -> None:
    """An image without parts can be augmented."""
    pixels, masks, targets = augment(square()[0], np.zeros((0, 64, 64), bool), ALL, 0, 0, 0)
    assert pixels.shape == (64, 64, 3) and masks.shape == (0, 64, 64) and len(targets) == 0
