"""Samples as tensors, and random numbers that depend on a key."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest
import torch
from PIL import Image

from pdstore import Store
from pdstore.errors import UsageError
from stages.loading.query import choose
from stages.loading.reader import Place
from stages.loading.samples import as_sample, check_image_as, seeded
from tests.stages.loading.made import ABOVE, masks_of, pixels_of


def test_a_sample_has_the_types_of_torch(made: Store) -> None:
    """An image is (3, H, W) uint8, masks are (N, H, W) bool, all in the memory order that torch expects."""
    (stored,) = Place(made.url, {}, choose(made, ABOVE)).open().read([2])
    sample = as_sample(stored)
    assert sample["image"].is_contiguous() and sample["masks"].is_contiguous()
    assert torch.equal(sample["image"], torch.from_numpy(pixels_of(2)).permute(2, 0, 1))
    assert torch.equal(sample["masks"], torch.from_numpy(masks_of(2)[[0, 2]]))
    kinds = {name: (sample[name].dtype, tuple(sample[name].shape)) for name in ("labels", "scores", "boxes")}
    assert kinds == {"labels": (torch.int64, (2,)), "scores": (torch.float32, (2,)), "boxes": (torch.float32, (2, 4))}
    assert sample["image_id"] == 2


def test_a_picture_can_be_a_pil_image(made: Store) -> None:
    """Transforms of other libraries take PIL images, too."""
    (stored,) = Place(made.url, {}, choose(made, ABOVE)).open().read([2])
    image = as_sample(stored, "pil")["image"]
    assert isinstance(image, Image.Image) and image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), pixels_of(2))


def test_another_kind_of_image_is_refused() -> None:
    """The error names the kinds that there are."""
    with pytest.raises(UsageError, match="'tensor' or 'pil'"):
        check_image_as("numpy")


def drawn() -> tuple[float, float, float]:
    return torch.rand(1).item(), float(np.random.rand()), random.random()


def test_random_numbers_depend_on_the_key_alone() -> None:
    """The same key draws the same numbers whatever was drawn before, and another key draws others."""
    with seeded("transform", 0, 1):
        first = drawn()
    drawn()
    with seeded("transform", 0, 1):
        again = drawn()
    with seeded("transform", 0, 2):
        other = drawn()
    assert first == again and all(a != b for a, b in zip(first, other, strict=True))


def test_the_generators_go_on_as_if_nothing_was_drawn() -> None:
    """The caller's random numbers do not change, even if the transform fails."""
    with seeded("outer"):
        expected = drawn(), drawn()
    with seeded("outer"):
        found = [drawn()]
        with contextlib.suppress(ZeroDivisionError), seeded("inner"):
            drawn()
            raise ZeroDivisionError
        found.append(drawn())
    assert tuple(found) == expected
