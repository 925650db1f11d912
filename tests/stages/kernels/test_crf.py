"""Dense CRF: labels follow the borders in the image."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from stages.kernels.crf import TooLarge, dense_crf


def two_halves(size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """A picture with a red and a blue half, and labels with a speck and a border that is 3 pixels off."""
    image = np.zeros((size, size, 3), np.uint8)
    image[:, : size // 2, 0] = 220
    image[:, size // 2 :, 2] = 220
    labels = np.ones((size, size), np.int64)
    labels[:, size // 2 + 3 :] = 2
    labels[5, 5] = 2
    return image, labels


@pytest.mark.parametrize("long_side", [0, 48, 24, 96])
def test_labels_follow_the_picture(long_side: int) -> None:
    """At any computing scale, a border near an edge moves onto it and a speck vanishes; the size is the image's."""
    image, labels = two_halves()
    refined = dense_crf(image, labels, 3, long_side=long_side)
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


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1)])
def test_tiny_images(shape: tuple[int, int]) -> None:
    """An image with one pixel, row or column keeps its only label."""
    image, labels = np.zeros((*shape, 3), np.uint8), np.ones(shape, np.int64)
    assert np.array_equal(dense_crf(image, labels, 3, long_side=5), labels)
    assert np.array_equal(dense_crf(image, labels, 3), labels)


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
settings = CrfSettings(gaussian_sxy=0.01, bilateral_sxy=0.01, bilateral_srgb=0.01, iterations=1, long_side=0)
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
