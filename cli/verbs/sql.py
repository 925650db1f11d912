"""``pd sql``: query the tables of a store."""

from __future__ import annotations

import base64
import csv
import io
import re
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import print_json, print_table, say
from cli.session import open_store, state_or_time
from pdstore.errors import UsageError, printable
from schemas.catalog import catalog_of
from schemas.judgements import JUDGED
from schemas.monitors import MONITORS
from schemas.tables import TABLES
from stages.source.tables import read_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["command"]

SHOWN_ROWS = 100
SHOWN_CHARACTERS = 60


@click.command("sql")
@click.argument("query")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json", "parquet"]), default="table",
              show_default=True, help="table shows the first 100 rows, the other formats all rows.")  # fmt: skip
@click.option("--with", "files", multiple=True, metavar="NAME=FILE", help="A table of your own: CSV or Parquet.")
@click.option("--at", metavar="TIME|N", help="As of a state of the pipeline: its number, or a time (ISO 8601).")
def command(query: str, form: str, files: tuple[str, ...], at: str | None) -> None:
    """Query the tables of the store. QUERY is one reading statement in DuckDB's SQL; - reads it from stdin.

    The views images, classes, objects, parts, proposals, clusters, labels, predictions, metrics and errors all have
    the columns node and layer; TABLE_all adds the older layers. commits and layers record who wrote what; coverage,
    dropped, cluster_collapse and others monitor the quality; judgements is what people said, and labels_kept,
    cluster_names and others apply it. docs/tables.md lists them all. Masks (rle) and vectors (feature) are read only
    if they are named; mask_area, mask_bbox, mask_iou and mask_union are functions of masks.

    With --at, the views show the layers that a former state of the pipeline leads to, as long as pd gc has not deleted
    them. pd config log lists the states.

    \b
    Examples:
      pd sql "SELECT class_name, count(*) FROM images GROUP BY 1"
      pd sql "SELECT node, reason, count(*) FROM errors GROUP BY ALL"
      pd sql "SELECT * FROM labels WHERE score > 0.8" --format parquet > labels.parquet
      pd sql "SELECT image_id, mask_bbox(rle, height, width) FROM labels WHERE score > 0.8"
      pd sql "DESCRIBE labels"
      pd sql "SELECT key FROM images JOIN mine USING (key)" --with mine=my_images.csv
      pd sql "SELECT node, count(*) FROM parts GROUP BY 1" --at 3
    """
    store = open_store(only_reads=True)
    if at is not None:
        store = store.snapshot(state_or_time(at))
    if form == "parquet" and sys.stdout.isatty():
        fix = "Redirect it to a file: pd sql QUERY --format parquet > FILE"
        raise UsageError("Parquet is binary: expected a file or a pipe, found a terminal", "stdout", fix)
    text = sys.stdin.read() if query == "-" else query
    _FORMATS[form](catalog_of(store).query(text, dict(map(_named_table, files))))


def _named_table(text: str) -> tuple[str, pa.Table]:
    """``NAME=FILE`` -> the name and the rows of the file."""
    name, equals, path = text.partition("=")
    if not (equals and path and re.fullmatch(r"[A-Za-z_]\w*", name)):
        raise UsageError(f"expected NAME=FILE, found {text!r}", "--with", "For example: --with mine=my_images.csv")
    if name in {*TABLES, *(f"{table}_all" for table in TABLES), *MONITORS, *JUDGED, "commits", "layers", "judgements"}:
        raise UsageError(f"the store has a table {name} of its own", "--with", "Choose another name")
    return name, read_table(Path(path))


def _as_table(result: pa.Table) -> None:
    rows = [[_short(value) for value in row.values()] for row in result.slice(0, SHOWN_ROWS).to_pylist()]
    print_table(result.column_names, rows)
    if result.num_rows > SHOWN_ROWS:
        say(f"{SHOWN_ROWS} of {result.num_rows} rows are shown. To get all of them: --format csv, json or parquet")


def _as_csv(result: pa.Table) -> None:
    # For programs: a text is what it is, also if a spreadsheet would take it for a formula. A terminal would obey it.
    is_shown = sys.stdout.isatty()
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(map(printable, result.column_names) if is_shown else result.column_names)
    for batch in result.to_batches(max_chunksize=10_000):
        columns = [[_as_text(value) for value in column.to_pylist()] for column in batch.columns]
        if is_shown:
            columns = [[printable(v) if isinstance(v, str) else v for v in values] for values in columns]
        writer.writerows(zip(*columns, strict=True))


def _as_json(result: pa.Table) -> None:
    print_json([{name: _plain(value) for name, value in row.items()} for row in result.to_pylist()])


def _as_parquet(result: pa.Table) -> None:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(result, sink, compression="zstd")
    sys.stdout.flush()
    sys.stdout.buffer.write(sink.getvalue())


_FORMATS: dict[str, Callable[[Any], None]] = {
    "table": _as_table,
    "csv": _as_csv,
    "json": _as_json,
    "parquet": _as_parquet,
}


def _plain(value: Any) -> Any:
    """The value as JSON can express it: DuckDB sums integers to decimals, and JSON has no NaN and no bytes."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return None if isinstance(value, float) and not -float("inf") < value < float("inf") else _as_text(value)


def _as_text(value: Any) -> Any:
    """Bytes as text: run lengths are that of COCO's files, and anything beyond ASCII is base64."""
    if not isinstance(value, bytes):
        return value
    return (value if value.isascii() else base64.b64encode(value)).decode()


def _short(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _plain(value)
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, str | list | dict) and len(text := str(value)) > SHOWN_CHARACTERS:
        return text[: SHOWN_CHARACTERS - 1] + "…"
    return value
