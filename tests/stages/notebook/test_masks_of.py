from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest

from pdstore import masks
from pdstore.errors import CorruptData, InputMissing, UsageError
from stages.notebook import Database
from stages.notebook.masks_of import arrow_of, masks_of

PARTS = "SELECT node, image_id, object_id, part_id, area, height, width, rle FROM parts WHERE width = 40 ORDER BY score"


def without(table: pa.Table, *names: str) -> pa.Table:
    return table.drop_columns(list(names))


def test_masks_are_those_of_the_rows(db: Database) -> None:
    """By their run lengths, or by node and numbers; in the order of the rows, and repeated if these are."""
    table = db.sql(PARTS).arrow()
    mixed = table.take(np.random.default_rng(0).permutation(np.repeat(np.arange(len(table)), 2)))
    expected = np.stack([masks.decode_one(rle, 40, 40) for rle in mixed.column("rle").to_pylist()])
    assert len({row["node"] for row in mixed.to_pylist()}) == 2 and len(mixed) > 20
    for rows in (mixed, without(mixed, "rle", "height", "width"), mixed.select(["rle", "height", "width"])):
        found = masks_of(db.store, rows, None)
        assert found.dtype == bool and found.flags.c_contiguous and np.array_equal(found, expected)
    assert expected.sum((1, 2)).tolist() == mixed.column("area").to_pylist()


def test_masks_of_objects_need_no_part(db: Database) -> None:
    """Which numbers tell masks apart depends on the table of the node."""
    rows = db.sql("SELECT node, image_id, object_id, area FROM objects WHERE width = 48")
    assert masks_of(db.store, rows.arrow(), None).sum((1, 2)).tolist() == rows["area"].tolist()


def test_several_frames_need_a_size(db: Database) -> None:
    """The error names them; at one size each mask is brought there, as its pixels are."""
    rows = db.table("parts", "node = 'crf'")
    with pytest.raises(UsageError, match=r"found 2 frames \(40 x 40, 48 x 48\).*size=\(height, width\)"):
        masks_of(db.store, rows.arrow(), None)
    found = masks_of(db.store, rows.arrow(), (20, 30))
    assert found.shape == (len(rows), 20, 30)
    for row, mask in zip(rows, found, strict=True):
        one = masks_of(db.store, pa.Table.from_pylist([row]), None)[0]
        assert np.array_equal(mask, masks.resize_nearest(one, 20, 30))


def test_no_rows_have_no_masks(db: Database) -> None:
    """At the size that is asked for, if there is one."""
    rows = db.table("parts", "false").arrow()
    assert masks_of(db.store, rows, None).shape == (0, 0, 0) and masks_of(db.store, rows, (4, 5)).shape == (0, 4, 5)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT score FROM parts", "do not say which masks they are about; found score. Ask for node, image_id"),
        ("SELECT rle FROM parts", "need the columns height and width, too; found rle"),
        ("SELECT node, image_id FROM parts", "rows of parts need the columns object_id, part_id, too"),
        ("SELECT node, image_id FROM images", "ingest writes images, which have no masks"),
        ("SELECT node, NULL AS image_id, object_id, part_id FROM parts", "NULL in place of its image_id"),
        ("SELECT NULL::BLOB AS rle, height, width FROM parts", "a row has NULL in place of a mask"),
    ],
)
def test_rows_that_do_not_say_which_masks_are_refused(db: Database, sql: str, message: str) -> None:
    """The error says which columns are needed, and which are there."""
    with pytest.raises(UsageError, match=re.escape(message)):
        masks_of(db.store, db.sql(sql).arrow(), None)


def test_a_mask_that_is_not_there_is_an_error(db: Database) -> None:
    """The numbers that were asked for are in the message."""
    rows = pa.Table.from_pylist([{"node": "crf", "image_id": 0, "object_id": 77, "part_id": 5}])
    with pytest.raises(InputMissing, match="crf: image_id 0, object_id 77, part_id 5: there is no such mask"):
        masks_of(db.store, rows, None)


def test_bytes_that_are_no_mask_are_an_error(db: Database) -> None:
    """Nothing is painted from them."""
    rows = pa.table({"rle": pa.array([b"nonsense"], pa.binary()), "height": [4], "width": [5]})
    with pytest.raises(CorruptData):
        masks_of(db.store, rows, (8, 8))


def test_rows_may_come_from_elsewhere(db: Database) -> None:
    """Lists of dicts, results and Arrow are the same rows; anything else is refused."""
    rows = db.table("parts", limit=3)
    for given in (rows, rows.arrow(), list(rows), rows.arrow().to_batches()[0]):
        assert arrow_of(given).to_pylist() == list(rows)
    for given in (7, "parts", None, [1, 2], {"a": 3}):
        with pytest.raises(UsageError, match=f"expected rows, found {type(given).__name__}"):
            arrow_of(given)


def test_frames_of_other_libraries_are_rows(db: Database) -> None:
    """pandas and polars, if they are installed."""
    rows = db.table("parts", "node = 'crf' AND width = 40")
    pytest.importorskip("polars")
    pytest.importorskip("pandas")
    expected = db.masks(rows)
    assert np.array_equal(db.masks(rows.pl()), expected) and np.array_equal(db.masks(rows.df()), expected)
