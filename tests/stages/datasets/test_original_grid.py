from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore import Rows, masks
from schemas.tables import OBJECTS
from stages.datasets.original_grid import from_grid, grid_of, to_grid
from stages.source.frames import frame_of
from stages.source.images import ImageFault
from tests.stages.nodes.records import thing


def rows_of(stack: np.ndarray) -> Rows:
    return Rows.from_records(OBJECTS, [thing(0, mask) for mask in stack])


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 640), (480, 640)), ((1200, 900), (640, 480)), ((30, 40), (480, 640)), ((7, 7000), (1, 640))],
)
def test_the_longer_side_of_the_grid_is_640(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """Pictures are scaled up, too, and no side is empty."""
    assert grid_of(size) == expected


@given(st.integers(1, 90), st.integers(1, 90), st.booleans(), st.integers(0, 99))
def test_masks_come_back_from_the_grid_as_they_were(height: int, width: int, is_square: bool, seed: int) -> None:
    """A grid is at least as large as the frame of its image, so that no pixel of a mask is lost on the way."""
    frame, side = frame_of((height, width), 40), 40
    stack = np.random.default_rng(seed).random((2, *frame)) > 0.5
    rle, grid = to_grid(rows_of(stack), (height, width), side, is_square=is_square)
    assert grid == ((side, side) if is_square else grid_of((height, width), side))
    if min(grid_of((height, width), side)[n] - frame[n] for n in (0, 1)) < 0:
        return  # a side that is half a pixel longer in one of the two roundings
    assert (masks.decode(from_grid(rle, grid, (height, width), frame), *frame) == stack).all()


def test_the_padding_of_a_square_is_empty() -> None:
    """The picture lies in the upper left corner."""
    rle, grid = to_grid(rows_of(np.ones((1, 20, 40), bool)), (20, 40), 40, is_square=True)
    painted = masks.decode(rle, *grid)[0]
    assert painted[:20].all() and not painted[20:].any()


def test_masks_of_another_shape_are_a_fault() -> None:
    """A tree of other pictures with the same names is not taken."""
    with pytest.raises(ImageFault, match=r"\(30, 40\).*\(40, 30\)") as error:
        from_grid(masks.encode(np.ones((1, 30, 40), bool)), (30, 40), (40, 30), (40, 30))
    assert error.value.reason == "wrong_size"
    one_off = masks.encode(np.ones((1, 427, 640), bool))
    assert from_grid(one_off, (427, 640), (333, 500), (333, 500))
