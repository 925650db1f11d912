from __future__ import annotations

import zlib

import pytest

from pdstore import Column, Rows, Table
from pdstore.blockfile import pack
from pdstore.slices.index import SliceIndex, index_file
from tests.pdstore.slices.example import VOTES, votes


def test_the_index_says_where_each_value_begins() -> None:
    """Values that occur, the rows of each, and a checksum of their vectors; a range of values is a span of them."""
    rows = votes([3, 3, 5, 9, 9, 9])
    index = SliceIndex.parse(index_file(rows), "vector")
    assert (index.values.tolist(), index.starts.tolist()) == ([3, 5, 9], [0, 2, 3, 6])
    pieces = rows["vector"][:2], rows["vector"][2:3], rows["vector"][3:]
    assert index.checksums.tolist() == [zlib.crc32(piece.tobytes()) for piece in pieces]
    assert [index.span(*bounds) for bounds in ((0, 3), (3, 4), (4, 9), (0, 100))] == [(0, 0), (0, 1), (1, 2), (0, 3)]


def test_a_unit_without_rows_has_an_empty_index() -> None:
    """Nothing is indexed, and every range is empty."""
    index = SliceIndex.parse(index_file(Rows.empty(VOTES)), "vector")
    assert (index.values.tolist(), index.starts.tolist(), index.span(0, 9)) == ([], [0], (0, 0))


def test_rows_must_rise() -> None:
    """Rows in another order would be taken for those of another value, so they are refused."""
    with pytest.raises(ValueError, match=r"rows of votes must rise by group: sort them with \.sorted\('group'\)"):
        pack(votes([2, 1]))


def test_the_declaration_is_kept() -> None:
    """A table that is read back from a layer's record is sliced by the same column; most tables are not sliced."""
    assert Table.from_dict(VOTES.to_dict()) == VOTES
    plain = Table("plain", "", (Column("x", "int64", ""),))
    assert "sliced_by" not in plain.to_dict() and Table.from_dict(plain.to_dict()) == plain
