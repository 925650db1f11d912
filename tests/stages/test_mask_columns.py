from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pdstore import Column, Rows, Table, masks, runs
from schemas.tables import LABELS, OBJECTS, PARTS, PREDICTIONS, PROPOSALS
from stages.mask_columns import mask_columns, run_columns

STACKS = st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(1, 9)).flatmap(lambda shape: arrays(bool, shape))


@given(STACKS)
def test_each_row_describes_its_mask(stack: np.ndarray) -> None:
    """Area, size and run lengths are those of one mask at a time, and the masks decode to the stack."""
    columns = mask_columns(stack)
    number, height, width = stack.shape
    assert columns["area"].tolist() == [int(mask.sum()) for mask in stack]
    assert columns["height"].tolist() == [height] * number and columns["width"].tolist() == [width] * number
    assert (masks.decode(columns["rle"], height, width) == stack).all()


@given(STACKS)
def test_columns_of_runs_are_those_of_pixels(stack: np.ndarray) -> None:
    """The same values, whether the masks come as runs or as pixels."""
    of_pixels, of_runs = mask_columns(stack), run_columns(runs.read(masks.encode(stack), *stack.shape[1:]))
    assert of_pixels.pop("rle") == of_runs.pop("rle") == masks.encode(stack)
    assert {n: v.tolist() for n, v in of_pixels.items()} == {n: v.tolist() for n, v in of_runs.items()}


@given(STACKS)
def test_the_columns_are_valid_in_every_table_of_masks(stack: np.ndarray) -> None:
    """Also without any mask: dtypes and lengths fit what the tables declare."""
    columns = mask_columns(stack)
    for table in (OBJECTS, PARTS, PROPOSALS, LABELS, PREDICTIONS):
        fitting: tuple[Column, ...] = tuple(column for column in table.columns if column.name in columns)
        assert {column.name for column in fitting} == columns.keys()
        assert len(Rows(Table(table.name, "", fitting), columns)) == len(stack)
