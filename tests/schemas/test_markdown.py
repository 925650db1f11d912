"""The pages that are printed from the code."""

from __future__ import annotations

from pathlib import Path

from pdstore.inventory import COMMITS, LAYERS
from schemas.markdown import tables_page
from schemas.monitors import MONITORS
from schemas.tables import TABLES

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


def test_the_page_says_what_the_code_says() -> None:
    """docs/tables.md is what the declarations print; if it is not: python -m schemas > docs/tables.md."""
    assert PAGE.read_text() == tables_page([*TABLES.values(), COMMITS, LAYERS], MONITORS.values())


def test_every_column_of_every_table_is_on_the_page() -> None:
    """No column is missing from the section of its table."""
    text = PAGE.read_text()
    for table in TABLES.values():
        section = text.split(f"\n## {table.name}\n")[1].split("\n## ")[0]
        assert all(f"`{column.name}`" in section for column in table.columns)
