from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pdstore.errors import UsageError
from pdstore.selection import freeze, open_selection
from tests.pdstore.conftest import Place
from tests.pdstore.example import new_store


def ids(*values: int) -> pa.Table:
    return pa.table({"image_id": pa.array(values, pa.int64()), "score": [0.5] * len(values)})


def test_a_selection_is_frozen_once(place: Place) -> None:
    """The first query decides; later ones do not run, and every reader sees the same rows in the same order."""
    store = new_store(place.url, **place.options)
    first = freeze(store, "train", lambda: ids(9, 3, 17))
    again = freeze(store, "train", lambda: ids(1))
    assert first.image_ids.tolist() == again.image_ids.tolist() == [9, 3, 17]
    assert open_selection(store, "train").image_ids.dtype == np.int64
    assert first.block_of_row.tolist() == [1, 0, 2]
    assert len(first) == 3


def test_a_selection_of_nothing_has_no_rows(place: Place) -> None:
    """It is still a selection: whether that is an error is up to its reader."""
    assert len(freeze(new_store(place.url, **place.options), "none", ids)) == 0


def test_a_query_without_images_is_refused(place: Place) -> None:
    """The error names the column, and nothing is frozen."""
    store = new_store(place.url, **place.options)
    with pytest.raises(UsageError, match=r"selection train: expected a column image_id in the query, found \['x'\]"):
        freeze(store, "train", lambda: pa.table({"x": [1]}))
    with pytest.raises(FileNotFoundError):
        open_selection(store, "train")


def test_batches_of_several_chunks_are_one_selection(place: Place) -> None:
    """A query result in several chunks is joined."""
    table = pa.concat_tables([ids(1, 2), ids(3)])
    assert freeze(new_store(place.url, **place.options), "t", lambda: table).image_ids.tolist() == [1, 2, 3]
