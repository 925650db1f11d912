"""Boxes around labels, and labels at another size."""

from __future__ import annotations

import numpy as np
import pytest

from stages.kernels.cut import Cut, most_likely
from stages.kernels.resize import resize_bilinear


def test_a_margin_ends_at_the_picture() -> None:
    """The box of all labels grows by the margin on each side, but not beyond the picture."""
    labels = np.zeros((20, 30), int)
    labels[3, 10], labels[8, 28] = 1, 2
    cut = Cut.around(labels, 4)
    assert cut == Cut(slice(0, 13), slice(6, 30), 20, 30)
    assert cut.shape == (13, 24) and cut.of(labels).shape == (13, 24) and cut.of(labels)[8, 22] == 2
    assert Cut.around(labels, 0) == Cut(slice(3, 9), slice(10, 29), 20, 30)


def test_without_a_margin_the_cut_is_the_picture() -> None:
    """None takes the whole picture, even if it has no labels; with a margin there is then nothing to cut."""
    labels = np.zeros((4, 5), int)
    assert Cut.around(labels, None) == Cut(slice(0, 4), slice(0, 5), 4, 5)
    assert Cut.around(labels, 3) is None


@pytest.mark.parametrize("shape", [(12, 17), (24, 34), (5, 9), (1, 1), (30, 11)])
def test_labels_of_a_whole_picture_are_those_of_resized_chances(shape: tuple[int, int]) -> None:
    """Larger, smaller or the same: as resizing all chances and then choosing."""
    chances = np.random.default_rng(0).random((12, 17, 6), np.float32)
    found = most_likely(chances, Cut(slice(0, 12), slice(0, 17), 12, 17), shape)
    assert found.dtype == np.int16
    assert (found == resize_bilinear(chances.transpose(2, 0, 1), *shape).argmax(0)).all()


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_labels_of_a_cut_stay_inside_it(scale: int) -> None:
    """Away from the cut's edge a label is that of the whole picture; outside the cut it is 0."""
    chances = np.random.default_rng(1).random((20, 30, 4), np.float32)
    chances[..., 0] = 0
    rows, columns = slice(5, 15), slice(0, 21)
    whole = most_likely(chances, Cut(slice(0, 20), slice(0, 30), 20, 30), (20 * scale, 30 * scale))
    found = most_likely(chances[rows, columns], Cut(rows, columns, 20, 30), (20 * scale, 30 * scale))
    inner = slice(6 * scale, 14 * scale), slice(0, 20 * scale)
    assert (found[inner] == whole[inner]).all()
    inside = np.zeros_like(found, bool)
    inside[5 * scale : 15 * scale, : 21 * scale] = True
    assert ((found > 0) == inside).all()


def test_a_cut_between_the_samples_of_a_smaller_picture_is_lost() -> None:
    """One pixel of a picture that is shown at half its size may have no sample; then there is no label."""
    chances = np.array([[[0.1, 0.9]]], np.float32)
    found = most_likely(chances, Cut(slice(0, 1), slice(0, 1), 9, 9), (3, 3))
    assert not found.any()


def test_the_lowest_of_equal_labels_wins() -> None:
    """Ties go to the lower label, so the background wins against a part."""
    assert not most_likely(np.full((2, 2, 3), 1 / 3, np.float32), Cut(slice(0, 2), slice(0, 2), 2, 2), (2, 2)).any()
