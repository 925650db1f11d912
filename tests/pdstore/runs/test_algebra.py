"""Arithmetic on runs, compared with NumPy on pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore import masks, runs
from pdstore.errors import CorruptData
from pdstore.ragged import Ragged
from pdstore.runlength import compress
from pdstore.runs import Runs

Bools = npt.NDArray[np.bool_]


@st.composite
def stacks(draw: st.DrawFn, least: int = 0) -> tuple[Bools, Bools]:
    """(N, H, W) bool and (H, W) bool: noise, blocks that touch, empty and full masks."""
    height, width, seed = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(0, 2**32 - 1))
    rng, count = np.random.default_rng(seed), draw(st.integers(least, 5))
    stack = rng.random((count + 1, height, width)) < rng.choice([0, 0.1, 0.5, 0.9, 1], (count + 1, 1, 1))
    if draw(st.booleans()):
        # Rectangles: each mask has few runs, and the runs of neighbours meet.
        stack[:] = False
        for mask in stack:
            (y0, y1), (x0, x1) = np.sort(rng.integers(0, height + 1, 2)), np.sort(rng.integers(0, width + 1, 2))
            mask[y0:y1, x0:x1] = True
    return stack[:-1], stack[-1]


def read(stack: Bools) -> Runs:
    return runs.read(masks.encode(stack), *stack.shape[1:])


def same(found: Runs, expected: Bools) -> None:
    """The strings are those of the pixels, byte for byte."""
    assert list(runs.strings(found)) == list(masks.encode(expected))


@given(stacks())
def test_strings_come_back(drawn: tuple[Bools, Bools]) -> None:
    """Read and written, strings are equal; so are those of masks that are picked by number or flag, with repeats."""
    stack, _ = drawn
    found = read(stack)
    assert len(found) == len(stack)
    same(found, stack)
    picked = np.arange(2 * len(stack)) // 2
    same(found.take(picked), stack[picked])
    flags = stack.any((1, 2))
    same(found.take(flags), stack[flags])


@given(stacks())
def test_masks_become_a_label_map(drawn: tuple[Bools, Bools]) -> None:
    """Where masks overlap, the pixel is that of the last one; pixels of none are 0."""
    stack, _ = drawn
    expected = np.zeros(stack.shape[1:], np.int16)
    for number, mask in enumerate(stack):
        expected[mask] = number + 1
    found = runs.to_labels(read(stack))
    assert found.dtype == np.int16 and found.shape == expected.shape and (found == expected).all()


def test_empty_runs_are_not_written() -> None:
    """A string of another program may hold empty runs; its mask is the same, and it is written in the usual form."""
    pixels = np.zeros((3, 4), bool)
    pixels.T.flat[[0, 1, 2, 5]] = True
    counts = [[0, 1, 0, 2, 0, 0, 2, 0, 0, 1, 6, 0], [0, 3, 2, 1, 6], [0, 3, 1, 0, 1, 1, 6, 0, 0], [0, 0, 0, 3, 2, 1, 6]]
    rle = Ragged.from_list([compress(listed, 3, 4) for listed in counts])
    found = runs.read(rle, 3, 4)
    same(found, np.stack([pixels] * 4))
    assert runs.areas(found).tolist() == [4] * 4 and runs.boxes(found).tolist() == masks.boxes(rle, 3, 4).tolist()
    frame = runs.full(3, 4)
    same(runs.intersect(found, frame), np.stack([pixels] * 4))
    same(runs.unions(found, range(4), [0, 1, 1, 1], 2), np.stack([pixels] * 2))
    same(
        runs.one_per_pixel(found, [2, 0, 1], frame),
        np.stack([~pixels & pixels, ~pixels & pixels, pixels, pixels & ~pixels]),
    )


@given(stacks())
def test_areas_boxes_and_shares_are_those_of_the_pixels(drawn: tuple[Bools, Bools]) -> None:
    """Area, bounding box and what lies inside another mask; an empty mask has share 0 and a box of zeros."""
    stack, whole = drawn
    found, other = read(stack), read(whole[None])
    assert runs.areas(found).tolist() == stack.sum((1, 2)).tolist()
    assert runs.boxes(found).tolist() == masks.boxes(masks.encode(stack), *whole.shape).tolist()
    inside = (stack & whole).sum((1, 2))
    assert runs.areas_inside(found, other).tolist() == inside.tolist()
    assert runs.shares_inside(found, other).tolist() == (inside / np.maximum(stack.sum((1, 2)), 1)).tolist()
    same(runs.intersect(found, other), stack & whole)


@given(stacks(least=1), st.data())
def test_one_mask_per_pixel(drawn: tuple[Bools, Bools], data: st.DataObject) -> None:
    """Each pixel of the whole stays with the first mask in the order that covers it; masks not in it get nothing."""
    stack, whole = drawn
    order = data.draw(st.lists(st.integers(0, len(stack) - 1), unique=True))
    free, expected = whole.copy(), np.zeros_like(stack)
    for number in order:
        expected[number] = stack[number] & free
        free &= ~stack[number]
    same(runs.one_per_pixel(read(stack), order, read(whole[None])), expected)


@given(stacks(least=1), st.data())
def test_unions_of_groups(drawn: tuple[Bools, Bools], data: st.DataObject) -> None:
    """A group's mask has the pixels of all its members; one mask may be in several groups, and a group may be empty."""
    stack, _ = drawn
    pairs = data.draw(st.lists(st.tuples(st.integers(0, len(stack) - 1), st.integers(0, 2))))
    expected = np.zeros((3, *stack.shape[1:]), bool)
    for number, group in pairs:
        expected[group] |= stack[number]
    same(runs.unions(read(stack), [n for n, _ in pairs], [g for _, g in pairs], 3), expected)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_masks_of_a_label_map(height: int, width: int, num_labels: int, seed: int) -> None:
    """Each label has its pixels, whatever the integer type; values that are no label are in no mask."""
    labels = np.random.default_rng(seed).integers(-1, 6, (height, width))
    expected = np.zeros((num_labels, height, width), bool)
    for label in range(num_labels):
        expected[label] = labels == label
    for values in (labels, labels.astype(np.int16), np.where(labels < 0, 255, labels).astype(np.uint8)):
        same(runs.from_labels(values, num_labels), expected)


def test_a_full_mask_covers_the_frame() -> None:
    """It has every pixel."""
    same(runs.full(3, 5), np.ones((1, 3, 5), bool))


@pytest.mark.parametrize(
    "counts", [b"", b"0", b"1", b"T", b"\xff\x00", b"52203", b"PPPPPPPP0", masks.encode(np.ones((1, 4, 5)))[0]]
)
def test_damaged_strings_never_reach_the_loops(counts: bytes) -> None:
    """The error is that of :mod:`pdstore.masks`: which string is damaged, and how."""
    sound = masks.encode(np.ones((1, 6, 7)))[0]
    with pytest.raises(CorruptData, match=r"a stored mask is damaged: mask 1 of 3: .*pd verify"):
        runs.read(Ragged.from_list([sound, counts, sound]), 6, 7)


@given(st.lists(st.binary(max_size=9), max_size=4), st.integers(1, 4), st.integers(1, 4))
def test_strings_are_refused_as_masks_refuses_them(strings: list[bytes], height: int, width: int) -> None:
    """Whatever the bytes, both modules take the same strings."""
    rle = Ragged.from_list(bytes(48 + byte % 80 for byte in counts) for counts in strings)
    assert refusal(lambda: runs.read(rle, height, width)) == refusal(lambda: masks.area(rle, height, width))


def refusal(function: Callable[[], object]) -> str:
    try:
        function()
    except CorruptData as error:
        return str(error)
    return ""


def test_masks_of_other_frames_or_numbers_are_refused() -> None:
    """A whole of another size, an order or a group that is out of range: loops would read foreign memory."""
    found = read(np.ones((2, 3, 4), bool))
    with pytest.raises(ValueError, match="expected one mask of 3 x 4, got 1 of 4 x 3"):
        runs.intersect(found, runs.full(4, 3))
    with pytest.raises(ValueError, match="expected one mask of 3 x 4, got 2 of 3 x 4"):
        runs.areas_inside(found, found)
    with pytest.raises(ValueError, match="order must hold numbers from 0 to 1, got 0 to 2"):
        runs.one_per_pixel(found, [0, 2], runs.full(3, 4))
    with pytest.raises(ValueError, match="members must be from 0 to 1, got -1 to 0"):
        runs.unions(found, [0, -1], [0, 0], 1)
    with pytest.raises(ValueError, match="groups must be from 0 to 0, got 0 to 1"):
        runs.unions(found, [0, 1], [0, 1], 1)
