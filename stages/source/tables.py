"""Tables that users bring: CSV with a heading, or Parquet."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from pdstore.errors import UsageError

__all__ = ["read_table"]


def read_table(path: Path) -> pa.Table:
    """The rows of a file that ends in ``.parquet``, ``.csv`` or ``.tsv``.

    Raises:
        UsageError: there is no such file, its name ends otherwise, or its content is not what its name says.
    """
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv", ".tsv"):
        raise UsageError(f"expected a .csv, .tsv or .parquet file, found {path.name}", str(path), "Convert the file")
    if not path.is_file():
        raise UsageError("there is no such file", str(path), "Check the path")
    try:
        if suffix == ".parquet":
            # Without threads that read ahead: a short program that ends while they start is aborted.
            return pq.ParquetFile(path, pre_buffer=False).read(use_threads=False)
        options = csv.ParseOptions(delimiter="\t" if suffix == ".tsv" else ",")
        return csv.read_csv(path, csv.ReadOptions(use_threads=False), options)
    except (pa.ArrowException, OSError) as error:
        why = " ".join(str(error).split())
        raise UsageError(f"the file is not a readable {suffix[1:]} table: {why}", str(path), "Fix the file") from None
