from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from pdstore import masks
from pdstore.errors import CorruptData
from pdstore.ragged import Ragged

Bools = npt.NDArray[np.bool_]


@st.composite
def stacks(draw: st.DrawFn, least: int = 0) -> Bools:
    """(N, H, W) bool, including full, empty and one-pixel masks."""
    shape = draw(st.tuples(st.integers(least, 4), st.integers(1, 9), st.integers(1, 9)))
    return draw(arrays(bool, shape, elements=st.booleans(), fill=st.booleans()))


@given(stacks())
def test_decode_undoes_encode(stack: Bools) -> None:
    """The masks come back, decoded together or one by one."""
    rle = masks.encode(stack)
    assert len(rle) == len(stack)
    decoded = masks.decode(rle, *stack.shape[1:])
    assert decoded.dtype == bool
    np.testing.assert_array_equal(decoded, stack)
    for counts, mask in zip(rle, stack, strict=True):
        np.testing.assert_array_equal(masks.decode_one(counts, *mask.shape), mask)


@given(stacks(least=1))
def test_the_strings_are_those_of_coco(stack: Bools) -> None:
    """Each string is the ``counts`` that pycocotools writes for the mask alone."""
    for counts, mask in zip(masks.encode(stack), stack, strict=True):
        assert counts == coco.encode(np.asfortranarray(mask, np.uint8))["counts"]


@given(stacks())
def test_area_and_boxes_are_those_of_the_pixels(stack: Bools) -> None:
    """Arithmetic on runs agrees with the pixels; an empty mask has area 0 and a box of zeros."""
    rle, size = masks.encode(stack), stack.shape[1:]
    np.testing.assert_array_equal(masks.area(rle, *size), stack.sum((1, 2)))
    for box, mask in zip(masks.boxes(rle, *size), stack, strict=True):
        ys, xs = np.nonzero(mask)
        x0, y0 = (xs.min(), ys.min()) if len(xs) else (0, 0)
        extent = (xs.max() - x0 + 1, ys.max() - y0 + 1) if len(xs) else (0, 0)
        assert box.tolist() == [x0, y0, *extent]


@given(stacks(), st.integers(0, 4), st.data())
def test_iou_is_that_of_the_pixels(first: Bools, count: int, data: st.DataObject) -> None:
    """It is the intersection over union of every pair, and 0 where both masks are empty."""
    second = data.draw(arrays(bool, (count, *first.shape[1:]), elements=st.booleans(), fill=st.booleans()))
    ious = masks.iou(masks.encode(first), masks.encode(second), *first.shape[1:])
    both = (first[:, None] & second[None]).sum((2, 3))
    either = (first[:, None] | second[None]).sum((2, 3))
    np.testing.assert_allclose(ious, both / np.maximum(either, 1))


@given(stacks())
def test_union_and_intersection_are_those_of_the_pixels(stack: Bools) -> None:
    """Without masks both are the empty mask."""
    rle, size = masks.encode(stack), stack.shape[1:]
    np.testing.assert_array_equal(masks.decode_one(masks.union(rle, *size), *size), stack.any(0))
    common = stack.all(0) if len(stack) else np.zeros(size, bool)
    np.testing.assert_array_equal(masks.decode_one(masks.intersect(rle, *size), *size), common)


@given(stacks(least=1), st.integers(1, 12), st.integers(1, 12))
def test_resize_takes_the_pixel_under_the_centre(stack: Bools, height: int, width: int) -> None:
    """Each target pixel has the value of the source pixel under its centre; the same size changes nothing."""
    mask = stack[0]
    resized = masks.resize_nearest(mask, height, width)
    assert resized.shape == (height, width)
    for y in range(height):
        for x in range(width):
            source = int((y + 0.5) * mask.shape[0] / height), int((x + 0.5) * mask.shape[1] / width)
            assert resized[y, x] == mask[source]
    np.testing.assert_array_equal(masks.resize_nearest(mask, *mask.shape), mask)


@pytest.mark.parametrize("shape", [(3, 4), (2, 0, 5), (1, 5, 0)])
def test_a_stack_without_pixels_is_refused(shape: tuple[int, ...]) -> None:
    """Two dimensions, or a side of 0, are an error that shows the shape."""
    with pytest.raises(ValueError, match=rf"got shape \({shape[0]}, {shape[1]}"):
        masks.encode(np.zeros(shape, bool))


def test_every_value_but_zero_is_inside() -> None:
    """In float and integer masks, pixels that are not zero are inside."""
    stack = np.array([[[0.0, 0.2], [-1.0, 0.0]]])
    assert masks.decode(masks.encode(stack), 2, 2).tolist() == [[[False, True], [True, False]]]


@pytest.mark.parametrize("count", [255, 256, 70_000])
def test_many_masks_have_areas(count: int) -> None:
    """There is no limit to how many masks are measured at once."""
    stack = np.zeros((3, 4, 5), bool)
    stack[1, :2], stack[2] = True, True
    few = list(masks.encode(stack))
    many = Ragged.from_list([few[number % 3] for number in range(count)])
    assert masks.area(many, 4, 5).tolist() == [(0, 10, 20)[number % 3] for number in range(count)]


def test_no_masks_have_no_areas_and_no_boxes() -> None:
    """No masks give arrays with no rows and the right columns."""
    nothing = Ragged.from_list([])
    assert masks.area(nothing, 3, 3).shape == (0,)
    assert masks.boxes(nothing, 3, 3).shape == (0, 4)
    assert masks.iou(nothing, nothing, 3, 3).shape == (0, 0)


@pytest.mark.parametrize("counts", [b"", b"0", b"1", b"T", b"\xff\x00", b"52203", masks.encode(np.ones((1, 4, 5)))[0]])
@pytest.mark.parametrize(
    "read",
    [
        lambda rle: masks.decode(rle, 6, 7),
        lambda rle: masks.decode_one(rle[1], 6, 7),
        lambda rle: masks.area(rle, 6, 7),
        lambda rle: masks.boxes(rle, 6, 7),
        lambda rle: masks.iou(rle, rle, 6, 7),
        lambda rle: masks.union(rle, 6, 7),
        lambda rle: masks.intersect(list(rle), 6, 7),
    ],
)
def test_strings_that_do_not_fill_the_picture_never_reach_c_code(
    counts: bytes, read: Callable[[Ragged], object]
) -> None:
    """pycocotools would read foreign memory or loop for ever: the error says which string is damaged, and how."""
    sound = masks.encode(np.ones((1, 6, 7)))[0]
    with pytest.raises(CorruptData, match=r"a stored mask is damaged: mask \d of \d: .*pd verify"):
        read(Ragged.from_list([sound, counts]))


@given(stacks(least=1), st.integers(1, 30), st.integers(1, 30))
def test_resized_runs_are_those_of_resized_pixels(stack: Bools, height: int, width: int) -> None:
    """Larger or smaller along either side, each target pixel takes the source pixel under its centre."""
    expected = np.stack([masks.resize_nearest(mask, height, width) for mask in stack])
    resized = masks.resize(masks.encode(stack), stack.shape[1:], (height, width))
    assert list(resized) == list(masks.encode(expected))


def test_a_mask_reaches_the_pixels_of_a_huge_image_without_painting_them() -> None:
    """48 megapixels take kilobytes, and the way back gives the same mask."""
    y, x = np.mgrid[:480, :640]
    disc = masks.encode(((x - 300) ** 2 + (y - 200) ** 2 < 150**2)[None])
    tracemalloc.start()
    huge = masks.resize(disc, (480, 640), (6000, 8000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    scale = 6000 * 8000 / (480 * 640)
    assert masks.area(huge, 6000, 8000)[0] == pytest.approx(scale * masks.area(disc, 480, 640)[0], rel=0.01)
    assert list(masks.resize(huge, (6000, 8000), (480, 640))) == list(disc)


def test_masks_of_several_frames_are_decoded_to_one() -> None:
    """Each comes from its own frame, in the order of the strings; damaged runs are refused."""
    stacks = [np.zeros((6, 8), bool), np.ones((3, 4), bool), np.zeros((6, 8), bool)]
    stacks[0][:3], stacks[2][:, 4:] = True, True
    rle = Ragged.from_list([masks.encode(mask[None])[0] for mask in stacks])
    decoded = masks.decode_to(rle, [mask.shape for mask in stacks], 12, 16)
    for mask, large in zip(stacks, decoded, strict=True):
        assert np.array_equal(large, masks.resize_nearest(mask, 12, 16))
    assert masks.decode_to(Ragged.from_list([]), np.zeros((0, 2)), 5, 7).shape == (0, 5, 7)
    with pytest.raises(CorruptData, match="mask 0 of 1"):
        masks.resize(rle.take([1]), (6, 8), (12, 16))
