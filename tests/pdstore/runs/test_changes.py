"""Runs from pixels and from changes, compared with NumPy on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore import masks, runs
from tests.pdstore.runs.test_algebra import Bools, same, stacks


def changes(flat: Bools) -> list[int]:
    """The pixels that differ from the one before them; before the first, a mask is empty."""
    return np.flatnonzero(np.diff(flat.astype(int), prepend=0)).tolist()


@given(stacks())
def test_masks_of_pixels(drawn: tuple[Bools, Bools]) -> None:
    """Strings and areas are those of the pixels, whatever the order of these in memory, read-only or not."""
    stack, _ = drawn
    fixed = stack.copy()
    fixed.setflags(write=False)
    for given_stack in (stack, np.asfortranarray(stack), masks.decode(masks.encode(stack), *stack.shape[1:]), fixed):
        found = runs.from_masks(given_stack)
        same(found, stack)
        assert runs.areas(found).tolist() == stack.sum((1, 2)).tolist()


@pytest.mark.parametrize("pixels", [7, 8, 9, 63, 64, 65, 200])
def test_masks_of_long_runs(pixels: int) -> None:
    """Words of equal pixels are passed over: inside, outside, and up to a change in the first, last or any pixel."""
    stack = np.zeros((2 * pixels + 2, 1, pixels), bool)
    for number in range(pixels):
        stack[2 * number, 0, number], stack[2 * number + 1, 0, number:] = True, True
    stack[-1] = True
    for some in (stack, ~stack, stack.transpose(0, 2, 1)):
        same(runs.from_masks(some), some)


def test_what_is_no_stack_is_refused() -> None:
    """A single mask has two dimensions."""
    with pytest.raises(ValueError, match=r"masks must be \(N, H, W\), got shape \(3, 4\)"):
        runs.from_masks(np.ones((3, 4), bool))


@given(stacks())
def test_masks_of_changes(drawn: tuple[Bools, Bools]) -> None:
    """Also of masks without any change, at the beginning, between others and at the end."""
    stack, _ = drawn
    stack = np.concatenate([stack[:0] if len(stack) % 2 else np.zeros((1, *stack.shape[1:]), bool), stack])
    places = [changes(mask.ravel("F")) for mask in stack]
    found = runs.from_changes([p for of in places for p in of], [len(of) for of in places], *stack.shape[1:])
    same(found, stack)
    assert runs.areas(found).tolist() == stack.sum((1, 2)).tolist()


@pytest.mark.parametrize("counts", [[2], [4], [1, 1], [4, -1]])
def test_places_that_no_mask_has_are_refused(counts: list[int]) -> None:
    """The loop over them is compiled, and would read past their end."""
    with pytest.raises(ValueError, match="places together, got 3"):
        runs.from_changes([1, 2, 3], counts, 4, 5)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_masks_of_the_changes_of_a_label_map(height: int, width: int, num_labels: int, seed: int) -> None:
    """They are those of the map itself; values that are no label are in no mask."""
    labels = np.random.default_rng(seed).integers(-1, 6, (height, width))
    flat = labels.ravel("F")
    places = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist()]
    found = runs.from_label_changes(places, flat[places], num_labels, height, width)
    assert runs.strings(found) == runs.strings(runs.from_labels(labels, num_labels))
    assert runs.areas(found).tolist() == [int((labels == label).sum()) for label in range(num_labels)]
