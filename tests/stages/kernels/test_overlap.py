"""Counting on run lengths, compared with painting arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pdstore import masks
from stages.kernels.overlap import joint_pixels, shown_pixels, unique_iou
from tests.stages.dense_ranking import unique_pixels

NUM_CLUSTERS, NUM_PARTS = 3, 2
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@st.composite
def two_stacks(draw: st.DrawFn) -> tuple[Bools, Bools]:
    """Up to five predictions and three parts on the same few pixels, including empty and full masks."""
    height, width, seed = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    shapes = (draw(st.integers(0, 5)), height, width), (draw(st.integers(0, 3)), height, width)
    shares = draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])), draw(st.sampled_from([0.0, 0.5, 1.0]))
    return rng.random(shapes[0]) < shares[0], rng.random(shapes[1]) < shares[1]


def painted(stack: Bools, values: list[int], background: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    canvas = np.full(stack.shape[1:], background)
    for mask, value in zip(stack, values, strict=True):
        canvas[mask] = value
    return canvas


@given(two_stacks(), st.data())
@settings(deadline=None)
def test_joint_pixels_are_those_of_two_painted_maps(stacks: tuple[Bools, Bools], data: st.DataObject) -> None:
    """Counts from run lengths equal the pixel counts of two label maps painted in listed order."""
    found, true = stacks
    clusters = [data.draw(st.integers(0, NUM_CLUSTERS - 1)) for _ in found]
    parts = [data.draw(st.integers(0, NUM_PARTS - 1)) for _ in true]
    shape = NUM_CLUSTERS + 1, NUM_PARTS + 1
    pair = painted(found, clusters, NUM_CLUSTERS) * shape[1] + painted(true, parts, NUM_PARTS)
    expected = np.bincount(pair.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
    shown = shown_pixels(masks.encode(found), masks.encode(true), *found.shape[1:])
    assert joint_pixels(shown, clusters, parts, shape).tolist() == expected.tolist()


@given(two_stacks(), st.data())
@settings(deadline=None)
def test_unique_iou_is_that_of_masks_without_overlap(stacks: tuple[Bools, Bools], data: st.DataObject) -> None:
    """Before IoU is taken, each pixel goes to the best-scored mask that covers it; of equal scores, to the first."""
    found, true = stacks
    scores = [data.draw(st.sampled_from([0.1, 0.5, 0.9])) for _ in found]
    size = found.shape[1:]
    alone, parts = masks.encode(unique_pixels(found, scores)), masks.encode(true)
    assert unique_iou(masks.encode(found), scores, parts, *size).tolist() == masks.iou(alone, parts, *size).tolist()


def test_one_pixel_of_two_large_masks_is_counted() -> None:
    """Of a picture of twelve million pixels, two halves share one pixel, and nothing else is both."""
    stack = np.zeros((2, 3000, 4000), bool)
    stack[0, :1500], stack[1, 1499:] = True, True
    stack[0, 1499, 1:] = False
    rle = masks.encode(stack)
    shown = shown_pixels(rle.take([0]), rle.take([1]), 3000, 4000)
    upper = 1499 * 4000
    assert shown.tolist() == [[1, upper], [3000 * 4000 - upper - 1, 0]]
