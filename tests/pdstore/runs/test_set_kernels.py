from __future__ import annotations

import numpy as np

from pdstore.runs import set_kernels


def test_pixels_are_claimed_in_order() -> None:
    """The second mask takes its three pixels, and the first what is left of its four; the rest is nobody's."""
    ends, offsets = np.array([1, 5, 10, 3, 6, 10]), np.array([0, 3, 6])
    got, starts = set_kernels.claim(ends, offsets, np.array([1, 0]), np.array([0, 10, 10]))
    assert got.tolist() == [1, 3, 10, 3, 6, 10] and starts.tolist() == [0, 3, 6]


def test_runs_that_meet_are_joined() -> None:
    """The union of two runs side by side is one run, which a third that overlaps both does not change."""
    ends, offsets = np.array([1, 3, 10, 3, 6, 10, 2, 5, 10]), np.array([0, 3, 6, 9])
    got, starts = set_kernels.unite(ends, offsets, np.array([0, 1, 2]), np.array([0, 3, 3]), 10)
    assert got.tolist() == [1, 6, 10, 10] and starts.tolist() == [0, 3, 4]


def test_room_grows_with_what_is_found() -> None:
    """Many masks that are cut by a whole of many runs need more room than they had at first."""
    whole = np.append(np.arange(1, 100), 100)
    ends, offsets = np.tile([0, 100, 100], 20), np.arange(0, 61, 3)
    got, starts = set_kernels.cut(ends, offsets, whole)
    assert np.diff(starts).tolist() == [101] * 20
    assert (got.reshape(20, 101) == [*whole, 100]).all()
