"""The file in which the catalog of a local store is kept: how it is written and opened, and whether it is of today."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable

import duckdb

from pdstore import layout
from pdstore.files import Files
from pdstore.sql.quoting import quoted

__all__ = ["has_signature", "open_file", "write_file"]


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


def write_file(files: Files, build: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
    """Replace the file by what ``build`` makes of an empty database. Readers see the old one or the new one."""
    temporary = files.full(f"{layout.TEMPORARY}{secrets.token_hex(6)}")
    try:
        with contextlib.closing(duckdb.connect(temporary)) as connection:
            build(connection)
            # Closing writes the file too, but reports no error when the disk is full.
            connection.execute("CHECKPOINT")
        os.replace(temporary, files.full(layout.CATALOG))
    finally:
        for leftover in (temporary, f"{temporary}.wal"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(leftover)


def has_signature(path: str, *signatures: str) -> bool:
    """Whether the file is there and has one of these signatures: it was made of what the store holds now."""
    if not os.path.exists(path):
        return False
    try:
        with contextlib.closing(open_file(path)) as connection:
            row = connection.execute("SELECT value FROM internal.signature").fetchone()
    except duckdb.Error:
        # The file is damaged or of another version of DuckDB. It is a cache, so it is rebuilt.
        return False
    return row is not None and row[0] in signatures
