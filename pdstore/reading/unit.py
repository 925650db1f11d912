"""Rows of a committed unit, from files whose checksums hold.

Files that are read whole are verified by the sha256 of the manifest. A read of single images
(:mod:`pdstore.reading.by_image`) verifies all that it returns by the crc32c of chunks and of the indexes of shards, but
sees no damage elsewhere in the files. ``pd verify`` compares the sha256 of every file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from pdstore.arrays.archive import joined
from pdstore.blockfile import files_of_columns, unpack
from pdstore.commit import Manifest
from pdstore.files import Files
from pdstore.table import Rows, Table

__all__ = ["ARROW_DAMAGE", "DAMAGE", "decoding", "read_files", "read_unit"]

DAMAGE = (ValueError, KeyError, RuntimeError)
"""What decoding raises if the files are not those of the rows."""
ARROW_DAMAGE = (*DAMAGE, OSError)
"""The same of Arrow. Elsewhere an OSError is a read that failed, which says nothing of the files."""


def read_unit(files: Files, manifest: Manifest, table: Table, names: Sequence[str]) -> Rows:
    """The columns ``names`` of all rows, in one gathered read.

    Raises:
        CorruptData: a file is missing, or fails its checksum.
    """
    contents = read_files(files, manifest, files_of_columns(table, names, manifest.files))
    with decoding(manifest, ARROW_DAMAGE):
        rows = unpack(table, names, contents)
    committed = manifest.rows.get(table.name, len(rows))
    if names and len(rows) != committed:
        raise manifest.corrupt(f"the files hold {len(rows)} rows, but {committed} were committed")
    return rows


def read_files(files: Files, manifest: Manifest, names: Iterable[str]) -> dict[str, bytes]:
    """Name -> content, in one gathered read, each compared with the checksum in the manifest.

    Raises:
        CorruptData: a file is missing, or is not what was committed.
    """
    try:
        contents = _contents(files, manifest, list(dict.fromkeys(names)))
    except FileNotFoundError as error:
        raise manifest.corrupt(f"a committed file is missing: {error}") from None
    for name, data in contents.items():
        # Of chunks, too: their own crc32c would also hold in a file that belongs to another unit.
        if problem := manifest.files[name].problem(data):
            raise manifest.corrupt(f"{name} is damaged: {problem}")
    return contents


def _contents(files: Files, manifest: Manifest, names: Sequence[str]) -> dict[str, bytes]:
    if not manifest.archive:
        found = files.read_many([f"{manifest.folder}/{name}" for name in names])
        return dict(zip(names, found.values(), strict=True))
    places = {name: manifest.place(name) for name in names}
    inside = {n: (at, at + manifest.files[n].size) for n, (path, at) in places.items() if path == manifest.archive}
    spans, whole = joined(inside.values()), [name for name in names if name not in inside]
    of_archive = [(manifest.archive, start, stop) for start, stop in spans]
    read = files.read_ranges([*of_archive, *((places[name][0], 0, None) for name in whole)])
    contents = dict(zip(whole, read[len(spans) :], strict=True))
    for (first, last), data in zip(spans, read, strict=False):
        contents |= {
            n: data[start - first : stop - first] for n, (start, stop) in inside.items() if first <= start < last
        }
    return contents


@contextmanager
def decoding(manifest: Manifest, damage: tuple[type[Exception], ...] = DAMAGE) -> Iterator[None]:
    """What decoding raises if the files are not those of the rows becomes CorruptData."""
    try:
        yield
    except FileNotFoundError as error:
        raise manifest.corrupt(f"a committed file is missing: {error}") from None
    except damage as error:
        raise manifest.corrupt(f"the files cannot be decoded: {error!s}") from error
