"""A small store that has been computed up to its labels, opened."""

from __future__ import annotations

import pytest

import pdstore
from stages.notebook import Database
from tests.opened_store import make_store


@pytest.fixture(scope="session")
def db(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Never write to it."""
    database: Database = pdstore.open(str(make_store(tmp_path_factory.mktemp("opened"))))
    return database
