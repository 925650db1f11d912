from __future__ import annotations

import numpy as np

from pdstore import Rows
from pdstore.table import Column, Table
from schemas import tables
from stages.mask_names import mask_colours, mask_names, without_vectors


def rows(table: str, **columns: list) -> Rows:
    typed = {name: np.array(values, object if isinstance(values[0], str) else None) for name, values in columns.items()}
    return Rows(tables.TABLES[table], typed, partial=True)


def test_objects_are_named_after_their_class() -> None:
    """A word outside the vocabulary is a class as well; colours go by the number of the object."""
    found = rows("objects", object_id=[0, 1], category_name=["cat", ""])
    assert mask_names(found, {}) == ["cat", "object"] and mask_colours(found) == [0, 1]


def test_parts_have_the_name_that_a_person_gave_or_a_number() -> None:
    """The class of the object goes before it, where the classes are given."""
    found = rows("parts", object_id=[0, 1], part_id=[0, 2], category_id=[0, 5], part_name=["head", ""])
    assert mask_names(found, {0: "cat"}) == ["cat head", "part 2"]
    assert mask_names(found, {}) == ["head", "part 2"]
    assert mask_colours(found) == [0, 7]


def test_labels_and_predictions_go_by_their_cluster() -> None:
    """Name and colour of a discovered part are the same in all images."""
    labels = rows("labels", cluster=[3, 1], category_id=[0, 1])
    assert mask_names(labels, {0: "cat", 1: "dog"}) == ["cat part 3", "dog part 1"] and mask_colours(labels) == [3, 1]
    taught = rows("predictions", cluster=[3], category_id=[0], part_name=["wing"])
    assert mask_names(taught, {}) == ["wing"]


def test_proposals_have_numbers() -> None:
    """A proposal has no class."""
    found = rows("proposals", proposal_id=[7, 2])
    assert mask_names(found, {0: "cat"}) == ["proposal 7", "proposal 2"] and mask_colours(found) == [7, 2]


def test_masks_of_another_table_can_be_shown() -> None:
    """A stage that is added has its own table; its masks get the table's name, and one colour each."""
    table = Table("boxes", "One row per box.", (Column("image_id", "int64", "the image"),))
    found = Rows(table, {"image_id": np.zeros(2, np.int64)})
    assert mask_names(found, {0: "cat"}) == ["boxes", "boxes"] and mask_colours(found) == [0, 1]


def test_vectors_are_left_out() -> None:
    """Scalars and masks stay, in the order of the table."""
    assert without_vectors(tables.PROPOSALS) == [name for name in tables.PROPOSALS.names if name != "feature"]
    assert "rle" in without_vectors(tables.PROPOSALS) and "feature" in tables.PROPOSALS.names
