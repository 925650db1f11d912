"""Dense CRF: labels follow the borders in the image."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from stages.kernels.crf import TooLarge, dense_crf, smooth
from stages.kernels.resize import resize_bilinear


def two_halves(size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """A picture with a red and a blue half, and labels with a speck and a border that is 3 pixels off."""
    image = np.zeros((size, size, 3), np.uint8)
    image[:, : size // 2, 0] = 220
    image[:, size // 2 :, 2] = 220
    labels = np.ones((size, size), np.int64)
    labels[:, size // 2 + 3 :] = 2
    labels[5, 5] = 2
    return image, labels


def soft_scene(height: int, width: int, num_parts: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of smooth colours with some noise, and labels in sectors of a disc in its middle."""
    rng = np.random.default_rng(num_parts)
    colours = resize_bilinear(rng.integers(0, 256, (3, 6, 8)), height, width).transpose(1, 2, 0)
    image = (colours + rng.normal(0, 6, colours.shape)).clip(0, 255).astype(np.uint8)
    y, x = np.mgrid[:height, :width] - np.array([height / 2, width / 2])[:, None, None]
    sector = ((np.arctan2(y, x) + np.pi) / (2 * np.pi) * num_parts).astype(int).clip(0, num_parts - 1) + 1
    return image, np.where(np.hypot(y, x) < min(height, width) / 3, sector, 0)


@pytest.mark.parametrize("num_parts", [1, 3, 4, 5, 9])
def test_both_engines_give_the_same_labels(num_parts: int) -> None:
    """On the whole picture the lattice's labels are those of pydensecrf, whatever the number of parts."""
    image, labels = soft_scene(70, 110, num_parts)
    ours, theirs = (
        dense_crf(image, labels, num_parts + 1, margin=None, engine=engine) for engine in ("lattice", "pydensecrf")
    )
    assert (ours != labels).mean() > 0.005, "the CRF has nothing to do, so the test shows nothing"
    assert (ours == theirs).mean() > 0.9995


@pytest.mark.parametrize("num_parts", [1, 4])
@pytest.mark.parametrize("long_side", [0, 300])
def test_a_cut_changes_next_to_nothing(num_parts: int, long_side: int) -> None:
    """With the default margin at least 99 % of the object's labels are those of the whole picture."""
    image, labels = soft_scene(160, 220, num_parts)
    whole = dense_crf(image, labels, num_parts + 1, margin=None, bilateral_sxy=10, long_side=long_side)
    cut = dense_crf(image, labels, num_parts + 1, bilateral_sxy=10, long_side=long_side)
    assert (whole == cut)[labels > 0].mean() > 0.99


def test_a_margin_is_counted_in_widths_of_the_wider_kernel() -> None:
    """Nothing is labelled farther from the object's box, even on a picture of one colour."""
    image, labels = np.full((60, 60, 3), 90, np.uint8), np.zeros((60, 60), int)
    labels[20:40, 20:40] = 1
    refined = dense_crf(image, labels, 2, gaussian_sxy=1, bilateral_sxy=4, bilateral_compat=40, margin=0.5)
    assert refined[18:42, 18:42].any() and not refined[:18].any() and not refined[:, 42:].any()


@pytest.mark.parametrize("engine", ["lattice", "pydensecrf"])
@pytest.mark.parametrize("margin", [0.0, 1.0, None])
def test_objects_of_any_extent(engine: str, margin: float | None) -> None:
    """Everything, one pixel at the border, and nothing."""
    image = np.random.default_rng(3).integers(0, 256, (12, 15, 3)).astype(np.uint8)
    everything, pixel, nothing = np.ones((12, 15), int), np.zeros((12, 15), int), np.zeros((12, 15), int)
    pixel[0, 14] = 2
    given = {"margin": margin, "engine": engine}
    assert (dense_crf(image, everything, 3, **given) == 1).all()
    assert set(np.unique(dense_crf(image, pixel, 3, **given))) <= {0, 2}
    assert not dense_crf(image, nothing, 3, **given).any()
    assert not dense_crf(image, pixel, 3, long_side=2, **given).any()


def test_masks_of_an_object_are_smoothed_together() -> None:
    """Disjoint masks in the same order; an empty one stays empty, and no masks give no masks."""
    image, labels = soft_scene(40, 50, 3)
    stack = labels == np.array([1, 7, 2, 3])[:, None, None]
    smoothed = smooth(image, stack)
    assert smoothed.shape == stack.shape and smoothed.sum(0).max() == 1
    assert smoothed.any((1, 2)).tolist() == [True, False, True, True]
    assert smooth(image, stack[:0]).shape == (0, 40, 50)


@pytest.mark.parametrize("engine", ["lattice", "pydensecrf"])
@pytest.mark.parametrize("long_side", [0, 48, 24, 96])
def test_labels_follow_the_picture(long_side: int, engine: str) -> None:
    """At any computing scale, a border near an edge moves onto it and a speck vanishes; the size is the image's."""
    image, labels = two_halves()
    refined = dense_crf(image, labels, 3, long_side=long_side, engine=engine)
    truth = np.where(np.arange(48) < 24, 1, 2)[None].repeat(48, 0)
    assert refined.dtype == np.int16
    assert refined.shape == labels.shape
    assert np.mean(refined != truth) <= (0.0 if long_side in (None, 48) else 0.05)


def test_background_is_a_label() -> None:
    """Parts may grow over background pixels that look like them."""
    image, labels = two_halves()
    labels[:] = 0
    labels[:, :21] = 1
    assert np.all(dense_crf(image, labels, 2)[:, 22:24] == 1)


def test_same_input_same_output() -> None:
    """Two calls give equal labels."""
    image = np.random.default_rng(0).integers(0, 256, (30, 20, 3)).astype(np.uint8)
    labels = np.random.default_rng(1).integers(0, 4, (30, 20))
    assert np.array_equal(dense_crf(image, labels, 4), dense_crf(image, labels, 4))


@pytest.mark.parametrize("engine", ["lattice", "pydensecrf"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1)])
def test_tiny_images(shape: tuple[int, int], engine: str) -> None:
    """An image with one pixel, row or column keeps its only label."""
    image, labels = np.zeros((*shape, 3), np.uint8), np.ones(shape, np.int64)
    assert np.array_equal(dense_crf(image, labels, 3, long_side=5, engine=engine), labels)
    assert np.array_equal(dense_crf(image, labels, 3, engine=engine), labels)


def test_single_label_needs_no_decision() -> None:
    """If the background is the only label, the result is background everywhere."""
    assert not dense_crf(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.int64), 1).any()


@pytest.mark.parametrize(
    ("shape", "label", "message"),
    [((4, 6, 3), 0, "like the labels"), ((4, 5, 3), 2, "labels must be 0..1"), ((4, 5, 3), -1, "labels must be 0..1")],
)
def test_wrong_input_is_refused(shape: tuple[int, ...], label: int, message: str) -> None:
    """An image whose size differs from that of the labels, or a label out of range, is an error."""
    with pytest.raises(ValueError, match=message):
        dense_crf(np.zeros(shape, np.uint8), np.full((4, 5), label), 2)


def test_no_pixels_is_refused() -> None:
    """An image without pixels is an error."""
    with pytest.raises(ValueError, match="no pixels"):
        dense_crf(np.zeros((0, 5, 3), np.uint8), np.zeros((0, 5), np.int64), 2)


_IN_A_PROCESS = """
import numpy as np
from schemas.stages import CrfSettings
from stages.kernels.crf import dense_crf
rng = np.random.default_rng(0)
image, labels = rng.integers(0, 256, (2, 20_000, 3), dtype=np.uint8), rng.integers(0, 3, (2, 20_000))
for engine in ("lattice", "pydensecrf"):
    settings = CrfSettings(
        gaussian_sxy=0.01, bilateral_sxy=0.01, bilateral_srgb=0.01, iterations=1, long_side=0, engine=engine
    )
    assert np.array_equal(dense_crf(image, labels, 3, **settings.model_dump()), labels)
"""


def test_the_smallest_widths_survive_a_long_picture() -> None:
    """At the bounds of the settings no pixel reaches another one, so the labels stay, and the process does too."""
    done = subprocess.run([sys.executable, "-c", _IN_A_PROCESS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("width", ["gaussian_sxy", "bilateral_sxy", "bilateral_srgb"])
def test_a_width_that_crashes_the_library_never_reaches_it(width: str) -> None:
    """A caller without settings gets an error, too, instead of the end of its process."""
    image, labels = two_halves()
    with pytest.raises(TooLarge, match=r"cannot tell apart the pixels of an image of 48x48"):
        dense_crf(image, labels, 3, **{width: 1e-8})


def test_a_picture_that_overflows_the_library_never_reaches_it() -> None:
    """pydensecrf counts in int; more values than that are an error that says how to scale."""
    image = np.broadcast_to(np.zeros(3, np.uint8), (30_000, 30_000, 3))
    labels = np.broadcast_to(np.int16(1), (30_000, 30_000))
    with pytest.raises(TooLarge, match=r"at most \d+ values, found 30000x30000 pixels with 3 labels.*long_side"):
        dense_crf(image, labels, 3)
