"""What an index keeps of a manifest: all but the list of its files, which is most of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from pdstore import layout
from pdstore.blockfile import ERRORS, ROWS
from pdstore.commit import Manifest

__all__ = ["INPUT", "Entry", "entry_table", "joined"]

INPUT = "input:"
"""What the name of a column begins with that holds the content digest of one input role."""

_SCHEMA = pa.schema(
    [
        ("unit", pa.int64()),
        ("name", pa.string()),
        ("attempt", pa.string()),
        ("content", pa.string()),
        ("rows", pa.int64()),
        ("errors", pa.int64()),
        ("bytes", pa.int64()),
        ("seconds", pa.float64()),
        ("host", pa.string()),
        ("created", pa.float64()),
        ("has_rows", pa.bool_()),
        ("has_errors", pa.bool_()),
    ]
)


class Entry(NamedTuple):
    """A committed unit.

    Attributes:
        name: of the folder of its attempt. content: digest of its files.
        rows: of the layer's table. errors: rows of ``errors``. bytes: of all its files.
        has_rows, has_errors: whether ``rows.parquet`` and ``errors.parquet`` are among its files.
        inputs: input role -> content digest of the input that was read.
    """

    unit: int
    name: str
    attempt: str
    content: str
    rows: int
    errors: int
    bytes: int
    seconds: float
    host: str
    created: float
    has_rows: bool
    has_errors: bool
    inputs: Mapping[str, str]

    @classmethod
    def of(cls, manifest: Manifest) -> Entry:
        return cls(
            manifest.unit,
            layout.attempt_name(manifest.unit, manifest.attempt),
            manifest.attempt,
            manifest.content,
            sum(count for table, count in manifest.rows.items() if table != "errors"),
            manifest.rows.get("errors", 0),
            manifest.size,
            manifest.seconds,
            manifest.host,
            manifest.created,
            ROWS in manifest.files,
            ERRORS in manifest.files,
            manifest.inputs,
        )


def entry_table(entries: Sequence[Entry]) -> pa.Table:
    """One row per entry, in their order; one column ``input:ROLE`` per role, null in units that did not read it."""
    columns: dict[str, list[Any]] = {name: [getattr(e, name) for e in entries] for name in _SCHEMA.names}
    roles = sorted({role for entry in entries for role in entry.inputs})
    columns |= {f"{INPUT}{role}": [entry.inputs.get(role) for entry in entries] for role in roles}
    fields = [*_SCHEMA, *((f"{INPUT}{role}", pa.string()) for role in roles)]
    return pa.table(columns, schema=pa.schema(fields))


def joined(tables: Iterable[pa.Table]) -> pa.Table:
    """The rows of all tables; a role that one of them lacks is null in its rows."""
    return pa.concat_tables([_SCHEMA.empty_table(), *tables], promote_options="default")
