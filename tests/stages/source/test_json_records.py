"""JSON records: values of the right kind, or an error that names the file, the record and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pdstore import masks
from pdstore.errors import CorruptData
from stages.source.json_records import Record, read_json

Bools = np.ndarray[Any, np.dtype[np.bool_]]


def test_a_file_is_read_as_its_content(tmp_path: Path) -> None:
    """Objects, lists and numbers come back as Python values."""
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, 2.5, null], "b": {"c": "x"}}')
    assert read_json(path) == {"a": [1, 2.5, None], "b": {"c": "x"}}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 200_000])
def test_a_file_that_is_not_json_is_refused(content: bytes, tmp_path: Path) -> None:
    """Empty, cut off, not text, or nested too deeply: one error that names the file and says what to do."""
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(CorruptData, match=r"a\.json: the file is not valid JSON: .*Fix the file"):
        read_json(path)


@pytest.mark.parametrize(
    ("value", "kind"), [(3, int), (-1, int), (2, float), (2.5, float), ([], list), ({"a": 1}, dict)]
)
def test_a_value_of_the_right_kind_is_returned(value: object, kind: type) -> None:
    """A whole number also passes for a finite number."""
    assert Record({"key": value}, "file").get("key", kind) == value


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (True, int, "expected a whole number, found true"),
        (2.5, int, "expected a whole number, found 2.5"),
        (float("inf"), float, "expected a finite number, found Infinity"),
        (None, list, "expected a list, found null"),
        ([1], dict, r"expected an object, found \[1\]"),
        ("x" * 99, list, 'expected a list, found "x{56}…'),
    ],
)
def test_a_value_of_another_kind_is_refused(value: object, kind: type, message: str) -> None:
    """The error names the record and the key, and shows only the beginning of a long value."""
    with pytest.raises(CorruptData, match=rf"file, images\[3\], key: {message}\.? Fix the file"):
        Record({"key": value}, "file, images[3]").get("key", kind)


def test_a_missing_key_is_refused() -> None:
    """The error lists the keys that are there, and says which one to add."""
    with pytest.raises(CorruptData, match=r"expected the key 'c', found 'a', 'b'\. Add 'c' to it"):
        Record({"a": 1, "b": 2}, "file").get("c", int)
    with pytest.raises(CorruptData, match="expected the key 'c', found no key"):
        Record({}, "file").get("c", int)


def test_an_index_has_bounds() -> None:
    """0 is the lowest value, and ``stop`` is not included."""
    record = Record({"zero": 0, "low": -1, "high": 4}, "file")
    assert record.index("zero", 4) == 0 and record.index("high") == 4
    with pytest.raises(CorruptData, match="expected low from 0 on, found -1"):
        record.index("low")
    with pytest.raises(CorruptData, match=r"expected high in 0\.\.3, found 4"):
        record.index("high", 4)


def test_the_records_of_a_list_know_their_place() -> None:
    """Each object of a list carries the key and its position; anything else in the list is refused there."""
    good = list(Record({"parts": [{"a": 1}, {"a": 2}]}, "file").records("parts"))
    assert [(r.get("a", int), r.where) for r in good] == [(1, "file, parts[0]"), (2, "file, parts[1]")]
    with pytest.raises(CorruptData, match=r"file, parts\[1\]: expected an object, found 5"):
        list(Record({"parts": [{}, 5]}, "file").records("parts"))


@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)), is_compressed=st.booleans())
def test_any_mask_comes_back(mask: Bools, is_compressed: bool) -> None:
    """Both notations of COCO give the compressed run lengths of the mask."""
    height, width = mask.shape
    encoded = masks.encode(mask[None])[0]
    pixels = mask.ravel("F")
    changes = np.flatnonzero(np.diff(np.concatenate([[False], pixels])))
    runs = np.diff(np.concatenate([[0], changes, [pixels.size]])).tolist()
    counts = encoded.decode() if is_compressed else runs
    record = Record({"mask": {"size": [height, width], "counts": counts}}, "file")
    assert (masks.decode_one(record.mask("mask", height, width), height, width) == mask).all()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"size": [3, 2], "counts": [6]}, r"expected size \[2, 3\], as its image has, found \[3, 2\]"),
        ({"size": [2, 3], "counts": [5]}, "expected counts that are COCO run lengths, found"),
        ({"size": [2, 3], "counts": "é"}, "expected counts that are COCO run lengths, found"),
        ({"size": [2, 3]}, "expected counts that are COCO run lengths, found"),
        ({"counts": [6]}, "expected the key 'size'"),
        ([6], "expected an object"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(value: object, message: str) -> None:
    """Another size, or counts of another number of pixels, are errors about the mask."""
    with pytest.raises(CorruptData, match=rf"file, mask: {message}"):
        Record({"mask": value}, "file").mask("mask", 2, 3)
