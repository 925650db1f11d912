from __future__ import annotations

import importlib.util

import pytest

from schemas.tables import TABLES
from stages.exchange.formats import FORMATS


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_names_code_and_tables_that_exist(name: str) -> None:
    """Its module is there, and its tables are tables of masks."""
    form = FORMATS[name]
    assert importlib.util.find_spec(form.entry) is not None and form.doc
    assert form.tables and all("rle" in TABLES[table].names for table in form.tables)
