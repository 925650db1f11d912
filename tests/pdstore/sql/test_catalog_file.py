from __future__ import annotations

import contextlib
from pathlib import Path

import duckdb
import pytest

from pdstore.sql.catalog_file import has_signature, open_file


def test_only_a_sound_file_of_the_same_signature_is_used(tmp_path: Path) -> None:
    """Not one that is missing, of another signature, or damaged."""
    path = str(tmp_path / "catalog")
    assert not has_signature(path, "a")
    with contextlib.closing(duckdb.connect(path)) as connection:
        connection.execute("CREATE SCHEMA internal")
        connection.execute("CREATE TABLE internal.signature AS SELECT 'a' AS value")
    assert has_signature(path, "a") and not has_signature(path, "b")
    with contextlib.closing(open_file(path)) as connection, pytest.raises(duckdb.Error, match="read-only"):
        connection.execute("CREATE TABLE x AS SELECT 1")
    Path(path).write_bytes(b"not a database")
    assert not has_signature(path, "a")
