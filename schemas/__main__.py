"""Prints ``docs/tables.md``: ``python -m schemas > docs/tables.md``."""

from __future__ import annotations

from pdstore.inventory import COMMITS, LAYERS
from schemas.markdown import tables_page
from schemas.monitors import MONITORS
from schemas.tables import TABLES

if __name__ == "__main__":
    print(tables_page([*TABLES.values(), COMMITS, LAYERS], MONITORS.values()), end="")
