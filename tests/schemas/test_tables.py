from __future__ import annotations

import pytest

from pdstore import Rows, Table
from pdstore.blockfile import pack, unpack
from schemas.tables import TABLES


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_every_column_says_what_it_holds(table: Table) -> None:
    """Tables and columns have descriptions, and no column name is used twice."""
    assert table.doc.endswith(".")
    assert all(column.doc for column in table.columns)
    assert len(set(table.names)) == len(table.names)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_a_declaration_survives_json(table: Table) -> None:
    """A declaration in layer.json reads back as an equal declaration."""
    assert Table.from_dict(table.to_dict()) == table


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_no_rows_are_rows(table: Table) -> None:
    """An empty block is written and read like any other."""
    files = pack(Rows.empty(table))
    read = unpack(table, table.names, files)
    assert len(read) == 0 and tuple(read.columns) == table.names


@pytest.mark.parametrize("table", [t for t in TABLES.values() if "rle" in t.names], ids=lambda t: t.name)
def test_rows_with_a_mask_have_its_size(table: Table) -> None:
    """So a block of masks can be read without its images."""
    assert {"image_id", "area", "height", "width"} <= set(table.names)
