"""Places of segments in the frame of their object."""

from __future__ import annotations

import numpy as np

from pdstore import masks, runs
from stages.kernels.naming.place import joined, places, split


def _runs(stack: np.ndarray) -> runs.Runs:
    return runs.read(masks.encode(stack), *stack.shape[1:])


def _scene(left: int, top: int, scale: int) -> tuple[runs.Runs, runs.Runs]:
    """An object of two by one squares, whose right square is a segment; the other segment lies half outside."""
    stack = np.zeros((3, 60, 60), bool)
    stack[0, top : top + scale, left : left + 2 * scale] = True
    stack[1, top : top + scale, left + scale : left + 2 * scale] = True
    stack[2, top : top + scale, max(0, left - scale) : left + scale] = True
    return _runs(stack[1:]), _runs(stack[:1])


def test_a_place_does_not_depend_on_where_the_object_is_or_how_large() -> None:
    """Halves of a box lie a half extent beside its middle, wherever it is; pixels outside the object do not count."""
    small, large = places(*_scene(20, 10, 6)), places(*_scene(10, 30, 20))
    np.testing.assert_allclose(small, large, atol=0.02)
    np.testing.assert_allclose(large[0], [0.866, 0, 0.5, 1, np.log(0.5)], atol=0.01)
    np.testing.assert_allclose(large[1], [-0.866, 0, 0.5, 1, np.log(0.5)], atol=0.01)


def test_a_segment_off_the_object_and_an_object_of_one_pixel_have_finite_places() -> None:
    """Nothing is divided by zero."""
    stack = np.zeros((2, 4, 4), bool)
    stack[0, 0, 0] = stack[1, 3, 3] = True
    found = places(_runs(stack[:1]), _runs(stack[1:]))
    assert np.isfinite(found).all() and found[0, :4].tolist() == [0] * 4


def test_joined_vectors_are_split_again() -> None:
    """The first segment of each object begins a new group; features and places come back."""
    segments, outline = _scene(10, 30, 20)
    one = joined(np.array([[1, 2, 3], [4, 5, 6]]), segments, outline)
    features, place, groups = split(np.concatenate([one, one[:1], one]))
    assert one.dtype == np.float16 and groups.tolist() == [0, 0, 1, 2, 2]
    assert features.tolist() == [[1, 2, 3], [4, 5, 6], [1, 2, 3], [1, 2, 3], [4, 5, 6]]
    np.testing.assert_allclose(place[:2], places(segments, outline), atol=1e-3)
