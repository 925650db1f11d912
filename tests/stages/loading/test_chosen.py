"""A choice of masks, in memory and in a file."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pdstore import Rows, Store, layout
from pdstore.errors import UsageError
from pdstore.selection import freeze
from schemas.tables import LABELS
from stages.loading.chosen import Chosen, frozen
from tests.stages.loading.made import label_records, make_store

REQUEST = {"sql": "SELECT 1", "node": "", "label": ""}


def chosen(label_column: str = "", **columns: list[int]) -> Chosen:
    ids = pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})
    return Chosen(ids, ("ingest", "a"), ("labels", "b"), label_column)


def rows() -> Rows:
    """Masks of the images 0, 1 and 2: one, two and three."""
    return Rows.from_records(LABELS, [row for number in range(3) for row in label_records(number)])


def test_masks_match_by_all_their_ids() -> None:
    """A mask matches if a row has all its ids; the label comes from that row."""
    choice = chosen(image_id=[0, 1, 2, 2, 7], label_id=[0, 1, 0, 2, 0], label=[5, 6, 7, 8, 9])
    index, labels = choice.match(rows(), 0, 2)
    assert index.tolist() == [0, 2, 3, 5] and labels.tolist() == [5, 6, 7, 8]
    assert choice.image_ids.tolist() == [0, 1, 2, 7]


def test_only_images_in_the_span_match() -> None:
    """Rows of the choice outside the span are not looked at."""
    index, _ = chosen(image_id=[0, 1, 2]).match(rows(), 1, 1)
    assert index.tolist() == [1, 2]


def test_labels_come_from_the_table_if_the_query_has_none() -> None:
    """Without a label in the choice, the named column is it; without either, every label is 0."""
    assert chosen("cluster", image_id=[1]).match(rows(), 0, 2)[1].tolist() == rows()["cluster"][1:3].tolist()
    assert chosen(image_id=[1]).match(rows(), 0, 2)[1].tolist() == [0, 0]


def test_equal_choices_have_equal_digests() -> None:
    """The digest depends on ids, labels and layers."""
    first = chosen(image_id=[0, 1], label=[3, 3])
    assert first.digest == chosen(image_id=[0, 1], label=[3, 3]).digest
    others = [chosen(image_id=[0, 1], label=[3, 4]), chosen(image_id=[0, 1]), chosen("cluster", image_id=[0, 1])]
    assert len({choice.digest for choice in (first, *others)}) == 4


def test_a_frozen_choice_is_sent_by_its_file(tmp_path: Path) -> None:
    """A choice in a local file travels to a worker as a path; one in memory travels whole; both arrive equal."""
    store = make_store(tmp_path)
    ids = list(range(5000))
    whole = chosen(image_id=ids)
    store.files.create(layout.selection("mine"), whole.to_bytes(REQUEST))
    mapped = frozen(store, "mine", REQUEST)
    assert mapped is not None and len(pickle.dumps(mapped)) < 500 < len(pickle.dumps(whole))
    for choice in (mapped, whole):
        sent = pickle.loads(pickle.dumps(choice))
        assert sent.digest == whole.digest and (sent.images, sent.masks) == (whole.images, whole.masks)
        np.testing.assert_array_equal(sent.image_ids, ids)


def test_a_selection_of_a_training_is_not_taken_for_one(made: Store) -> None:
    """A name that a training has used is refused, since its file says nothing of masks."""
    freeze(made, "of-a-training", lambda: pa.table({"image_id": [1, 2]}))
    with pytest.raises(UsageError, match="frozen by a training"):
        frozen(made, "of-a-training", REQUEST)
    assert frozen(made, "nothing", REQUEST) is None
