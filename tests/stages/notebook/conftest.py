"""A small store that has been computed without a network, opened."""

from __future__ import annotations

from pathlib import Path

import pytest

import pdstore
from stages.notebook import Database


@pytest.fixture(scope="session")
def db(my_store: Path) -> Database:
    """Never write to it."""
    database: Database = pdstore.open(str(my_store))
    return database
