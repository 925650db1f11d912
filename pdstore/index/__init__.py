"""The index of a layer: files that gather the commits of many units, and their rows.

It is derived: whoever deletes it loses nothing, and readers then read every manifest. Nothing in it is believed that
the commits, the attempts and the withdrawals of the layer do not bear out.
"""

from pdstore.index.check import index_problems, unused_index_files
from pdstore.index.compaction import RUN_UNITS, Compacted, compact
from pdstore.index.entries import Entry
from pdstore.index.indexfile import IndexFile, RowFile
from pdstore.index.reader import Commits, IndexReader, Source, read_manifests
from pdstore.index.recent import (
    RecentReader,
    adopt,
    fetch_bundle,
    kept_of,
    recent_layers,
    recent_problems,
    write_bundle,
)
from pdstore.index.scans import scans

__all__ = [
    "RUN_UNITS",
    "Commits",
    "Compacted",
    "Entry",
    "IndexFile",
    "IndexReader",
    "RecentReader",
    "RowFile",
    "Source",
    "adopt",
    "compact",
    "fetch_bundle",
    "index_problems",
    "kept_of",
    "read_manifests",
    "recent_layers",
    "recent_problems",
    "scans",
    "unused_index_files",
    "write_bundle",
]
