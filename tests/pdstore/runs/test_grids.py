"""Masks at chosen rows and columns, compared with indexing decoded masks in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore import masks, runs

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@st.composite
def crops(draw: st.DrawFn) -> tuple[Bools, Ints, Ints]:
    """(N, H, W) bool, rows in rising order with some outside around them, and columns in any order."""
    height, width, seed = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(0, 2**32 - 1))
    rng, count = np.random.default_rng(seed), draw(st.integers(0, 5))
    stack = rng.random((count, height, width)) < rng.choice([0, 0.1, 0.5, 0.9, 1], (count, 1, 1))
    before, inside, after = rng.integers(0, 4, 3)
    rows = np.concatenate([[-1] * before, np.sort(rng.integers(0, height, inside)), [-1] * after]).astype(np.int64)
    columns = rng.integers(-1, width, rng.integers(0, 12))
    return stack, rows, columns if draw(st.booleans()) else np.sort(columns)[::-1]


def reference(stack: Bools, rows: Ints, columns: Ints) -> Bools:
    return np.asarray(stack[:, rows][:, :, columns] & (rows >= 0)[:, None] & (columns >= 0), bool)


@given(crops())
def test_a_grid_is_that_of_the_decoded_masks(drawn: tuple[Bools, Ints, Ints]) -> None:
    """Pixels and areas are those of the decoded masks at the same rows and columns."""
    stack, rows, columns = drawn
    read, expected = runs.read(masks.encode(stack), *stack.shape[1:]), reference(*drawn)
    found = runs.decode_at(read, rows, columns)
    assert found.dtype == bool and np.array_equal(found, expected)
    assert runs.areas_at(read, rows, columns).tolist() == expected.sum((1, 2)).tolist()


def test_empty_runs_change_nothing() -> None:
    """A string of another program may hold runs of no pixels."""
    read = runs.Runs(np.array([0, 0, 2, 2, 2, 5, 6, 6]), np.array([0, 8]), 2, 3)
    inside = np.searchsorted(read.ends, np.arange(6), side="right") % 2 == 1
    expected = inside.reshape(3, 2).T
    assert np.array_equal(runs.decode_at(read, [0, 1], [0, 1, 2])[0], expected)
    assert runs.areas_at(read, [0, 1], [0, 1, 2]).tolist() == [expected.sum()]


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([1, 0], [0], "rising order"),
        ([0, -1, 1], [0], "rising order"),
        ([0, 2], [0], "frame is 2 x 3, got row 2 and column 0"),
        ([0], [3], "got row 0 and column 3"),
    ],
)
def test_a_grid_that_is_none_is_refused(rows: list[int], columns: list[int], message: str) -> None:
    """Rows that fall, or that are interrupted, and numbers beyond the frame are errors."""
    read = runs.read(masks.encode(np.ones((1, 2, 3), bool)), 2, 3)
    with pytest.raises(ValueError, match=message):
        runs.decode_at(read, rows, columns)
