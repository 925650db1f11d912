"""What a query chooses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pdstore import Store
from pdstore.errors import InputMissing, UsageError
from schemas.tables import LABELS
from stages.loading.query import choose
from tests.stages.loading.made import ABOVE, BLOCK, NUM_IMAGES, commit, label_records, make_store, record, scores_of


def test_a_query_of_masks_chooses_just_these(made: Store) -> None:
    """Images are those with a row, rising; masks are told by their ids, and the label is the cluster."""
    chosen = choose(made, ABOVE)
    expected = [(i, n) for i in range(NUM_IMAGES) for n, score in enumerate(scores_of(i)) if score > 0.5]
    assert chosen.keys == ["image_id", "label_id", "object_id"] and chosen.masks is not None
    assert chosen.masks[0] == "labels" and chosen.images[0] == "ingest"
    assert list(zip(*(chosen.ids.column(c).to_pylist() for c in ("image_id", "label_id")), strict=True)) == expected
    assert chosen.image_ids.tolist() == [i for i in range(NUM_IMAGES) if i != 5]
    clusters = [n + i % 2 for i, n in expected]
    assert chosen.ids.column("label").to_pylist() == clusters


def test_a_query_of_images_chooses_no_masks(made: Store) -> None:
    """A query that reads no table of masks gives images alone."""
    chosen = choose(made, "SELECT image_id FROM images WHERE image_id >= 20")
    assert chosen.masks is None and chosen.image_ids.tolist() == [20, 21]


def test_image_ids_alone_choose_all_masks(made: Store) -> None:
    """Without ids of masks, all masks of the images are meant, of the node that is named or read."""
    for sql, node in (("SELECT image_id FROM labels", ""), ("SELECT image_id FROM images", "labels")):
        chosen = choose(made, sql, node)
        assert chosen.keys == ["image_id"] and chosen.masks is not None and chosen.masks[0] == "labels"
        assert chosen.label_column == "cluster" and len(chosen.image_ids) == NUM_IMAGES


def test_ids_of_objects_choose_the_masks_on_them(made: Store) -> None:
    """Ids that both tables have join them, and nothing else does."""
    chosen = choose(made, "SELECT image_id, object_id, score FROM objects WHERE image_id < 3", "labels")
    assert chosen.keys == ["image_id", "object_id"] and chosen.masks is not None and chosen.masks[0] == "labels"
    assert chosen.image_ids.tolist() == [0, 1, 2]


def test_a_label_is_computed_by_the_query_or_named(made: Store) -> None:
    """A column ``label`` of the query comes first; any integer column can be named."""
    computed = choose(made, "SELECT *, 10 + cluster AS label FROM labels")
    named = choose(made, "SELECT *, 10 + cluster AS label FROM labels", label="category_id")
    assert set(computed.ids.column("label").to_pylist()) == {10, 11, 12, 13}
    assert set(named.ids.column("label").to_pylist()) == {7}
    assert choose(made, "SELECT image_id FROM labels", label="label_id").label_column == "label_id"


@pytest.mark.parametrize(
    ("sql", "options", "message"),
    [
        ("SELECT key FROM images", {}, "expected a column image_id"),
        ("SELECT image_id FRM images", {}, "not valid"),
        ("SELECT nonsense FROM images", {}, "not valid"),
        ("DROP TABLE images", {}, "expected a query that reads"),
        ("SELECT 1 AS image_id; SELECT 2 AS image_id", {}, "one statement"),
        ("SELECT image_id FROM images", {"node": "ingest"}, "Nodes with masks: detic, labels"),
        ("SELECT image_id FROM labels", {"label": "score"}, "no integer column 'score'"),
        ("SELECT image_id, key AS label FROM images", {}, "must be of integers"),
        ("SELECT image_id, range AS label FROM labels, range(2)", {}, r"two labels to {'image_id': 0}"),
        ("SELECT NULL::INT AS image_id", {}, "without an id"),
        ("SELECT image_id, node FROM labels UNION ALL SELECT image_id, node FROM objects", {}, "WHERE node = 'detic'"),
        ("SELECT image_id FROM labels_all", {}, "does not say whose masks"),
        ("SELECT image_id FROM query_table('la' || 'bels')", {}, "does not say whose masks"),
        ("SELECT image_id FROM labels JOIN objects USING (image_id)", {"node": ""}, "detic, labels have some"),
        ("SELECT image_id FROM images", {"freeze_as": "../x"}, "cannot be called"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(made: Store, sql: str, options: dict[str, str], message: str) -> None:
    """The error says what is wrong with the query, before anything is read."""
    with pytest.raises(UsageError, match=message):
        choose(made, sql, **options)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT image_id FROM images WHERE false", "chooses no image"),
        (
            "SELECT image_id + 20 AS image_id FROM images",
            "20 of its images are not in .* such as image 22",
        ),
    ],
)
def test_images_that_are_not_there_are_missing(made: Store, sql: str, message: str) -> None:
    """No image, or one that was not ingested, is said at once."""
    with pytest.raises(InputMissing, match=message):
        choose(made, sql)


def test_a_semicolon_and_a_comment_do_no_harm(made: Store) -> None:
    """A query may end as people end it."""
    for end in (";", " ;\n", " -- all of them"):
        assert len(choose(made, f"SELECT image_id FROM images{end}").image_ids) == NUM_IMAGES


def test_blocks_without_masks_are_missing(tmp_path: Path) -> None:
    """A node that has not committed the block of a chosen image is named, with the command."""
    store = make_store(tmp_path)
    labels = store.layer("labels", store.current()["labels"])
    labels.withdraw(1)
    with pytest.raises(InputMissing, match="labels has not committed 1 of the blocks.*pd stage run labels"):
        choose(store, "SELECT image_id FROM images", "labels")
    assert len(choose(store, ABOVE).image_ids) == NUM_IMAGES - BLOCK


def test_an_old_layer_is_chosen_by_its_name(tmp_path: Path) -> None:
    """A query of ``labels_all`` with node and layer means the layer that it names, and not two at once."""
    store = make_store(tmp_path)
    old = store.current()["labels"]
    commit(store, "labels", LABELS, [row | {"cluster": 9} for row in label_records(0)], changed=True)
    chosen = choose(store, f"SELECT * FROM labels_all WHERE layer = '{old}'")
    assert chosen.masks == ("labels", old) and len(chosen.image_ids) == NUM_IMAGES
    with pytest.raises(UsageError, match="several layers of labels"):
        choose(store, "SELECT * FROM labels_all")


def test_two_nodes_that_write_one_table_are_told_apart(tmp_path: Path) -> None:
    """Where the table does not tell the node, the query or the argument has to."""
    store = make_store(tmp_path)
    commit(store, "other", LABELS, label_records(0))
    with pytest.raises(UsageError, match=r"whose masks it means: labels, other have some.*node='labels'"):
        choose(store, "SELECT image_id FROM labels")
    assert choose(store, "SELECT image_id FROM labels", "other").masks[0] == "other"  # type: ignore[index]
    assert choose(store, "SELECT * FROM labels WHERE node = 'other'").image_ids.tolist() == [0]


def test_a_frozen_choice_stays(tmp_path: Path) -> None:
    """What is frozen is the same after the store has changed, also for a process that maps the file; a name stands for
    one query.
    """
    store = make_store(tmp_path)
    first = choose(store, ABOVE, freeze_as="above")
    record(store, {node: layer for node, layer in store.current().items() if node != "labels"})
    again = choose(Store(store.url), ABOVE, freeze_as="above")
    assert again.digest == first.digest and again.file and again.masks == first.masks
    np.testing.assert_array_equal(again.image_ids, first.image_ids)
    with pytest.raises(UsageError, match="'above' was frozen from 'SELECT"):
        choose(store, "SELECT image_id FROM images", freeze_as="above")


def test_nothing_ingested_is_said(tmp_path: Path) -> None:
    """A store without a run has no images to choose from."""
    store = make_store(tmp_path)
    record(store, {})
    with pytest.raises(InputMissing):
        choose(store, "SELECT 1 AS image_id")
