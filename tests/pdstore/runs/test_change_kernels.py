from __future__ import annotations

import numpy as np

from pdstore import masks, runs
from pdstore.runs import change_kernels


def test_the_rest_of_a_word_is_not_pixels() -> None:
    """A mask of 10 pixels whose last run goes on into what fills its second word ends at its 10 pixels."""
    flat = np.zeros((2, 16), np.uint8)
    flat[0, 3:] = 1
    ends, offsets = change_kernels.mask_runs(flat, flat.view(np.uint64), 10)
    assert ends.tolist() == [3, 10, 10] and offsets.tolist() == [0, 2, 3]


def test_room_grows_with_the_changes() -> None:
    """Masks that change at every pixel."""
    flat = np.tile(np.arange(640, dtype=np.uint8) % 2, (5, 1))
    ends, offsets = change_kernels.mask_runs(flat, flat.view(np.uint64), 640)
    assert offsets.tolist() == [640 * n for n in range(6)] and ends.tolist() == [*range(1, 641)] * 5


def test_segments_of_no_label_are_left_out() -> None:
    """The last segment ends with the pixels."""
    ends, offsets = change_kernels.label_segments(np.array([0, 2, 5]), np.array([1, -1, 1]), 2, 9)
    assert ends.tolist() == [9, 0, 2, 5, 9, 9] and offsets.tolist() == [0, 1, 6]


def test_each_function_is_compiled_once() -> None:
    """Whatever masks come in, the arguments have the same types."""
    stack = np.ones((2, 3, 4), bool)
    fixed = stack.copy()
    fixed.setflags(write=False)
    for some in (
        stack,
        stack[:0],
        stack[::-1],
        fixed,
        masks.decode(masks.encode(stack), 3, 4),
        np.ones((1, 8, 8), bool),
    ):
        runs.from_masks(some)
    for places, labels in (([0], [1]), (np.array([0, 2], np.int32), np.array([1, 0], np.uint8)), (range(4), range(4))):
        runs.from_label_changes(places, labels, 2, 3, 4)
        runs.from_changes(places, [len(places)], 3, 4)
    counts = {name: len(getattr(change_kernels, name).signatures) for name in change_kernels.__all__}
    assert counts == dict.fromkeys(counts, 1)
