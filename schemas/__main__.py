"""Prints the pages that are made from the code: ``python -m schemas tables > docs/tables.md``, and ``errors``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from pdstore.inventory import COMMITS, LAYERS
from pdstore.judgements import JUDGEMENTS
from schemas.judgements import JUDGED
from schemas.markdown import errors_page, tables_page
from schemas.monitors import MONITORS
from schemas.tables import TABLES

PAGES: Mapping[str, Callable[[], str]] = {
    "tables": lambda: tables_page([*TABLES.values(), COMMITS, LAYERS, JUDGEMENTS], MONITORS.values(), JUDGED.values()),
    "errors": errors_page,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m schemas", description="Print a page of docs/.")
    parser.add_argument("page", choices=PAGES)
    print(PAGES[parser.parse_args().page](), end="")
