"""The file in which the catalog of a local store is kept: how it is opened, and whether it is that of today."""

from __future__ import annotations

import contextlib
import os

import duckdb

from pdstore.sql.quoting import quoted

__all__ = ["has_signature", "open_file"]


def open_file(path: str) -> duckdb.DuckDBPyConnection:
    """A read-only connection. The file is attached, since DuckDB shares a file opened by path even after a rename."""
    connection = duckdb.connect(":memory:")
    try:
        connection.execute(f"ATTACH {quoted(path)} AS store (READ_ONLY)")
        connection.execute("USE store")
    except BaseException:
        connection.close()
        raise
    return connection


def has_signature(path: str, signature: str) -> bool:
    """Whether the file is there and was made of what the store holds now."""
    if not os.path.exists(path):
        return False
    try:
        with contextlib.closing(open_file(path)) as connection:
            row = connection.execute("SELECT value FROM internal.signature").fetchone()
    except duckdb.Error:
        # The file is damaged or of another version of DuckDB. It is a cache, so it is rebuilt.
        return False
    return row is not None and row[0] == signature
