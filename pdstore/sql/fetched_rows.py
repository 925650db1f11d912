"""The files of rows of a store in an object store, fetched into the user's cache folder and compared there.

Rows never change once they are written, so a file is fetched once, whatever is asked of it later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pdstore import layout
from pdstore.commit import Manifest
from pdstore.files import Files
from pdstore.index import RowFile, kept_of
from pdstore.inventory import LayerCommits

__all__ = ["LARGEST", "fetched"]

LARGEST = 64 << 20
"""Bytes of the largest file that is fetched as a whole. DuckDB reads of a larger one what a query needs."""
AT_ONCE = 16
_SOUND = "end is sound: "


@dataclass(frozen=True)
class _Wanted:
    """A file of rows: what it holds, and of which block it is; None for one of the index."""

    path: str
    size: int
    sha256: str
    manifest: Manifest | None = None
    gathered: RowFile | None = None


def fetched(entry: LayerCommits, names: Sequence[str]) -> LayerCommits:
    """The layer with the places of its files ``names`` on this machine, and without gathered rows that are damaged.

    Raises:
        CorruptData: the rows of a block are damaged.
    """
    files, found, broken = entry.layer.store.files, dict[str, str](), set[str]()
    for name in names:
        gathered = [w for w in _of_index(entry, name)]
        for wanted, place in zip(gathered, _places(files, gathered), strict=True):
            if place is None:
                broken.add(wanted.path)
            elif place:
                found[wanted.path] = place
        blocks = list(_of_blocks(entry, name, broken))
        for wanted, place in zip(blocks, _places(files, blocks), strict=True):
            if place is None and wanted.manifest is not None:
                raise wanted.manifest.corrupt(f"{name} is damaged: content differs from what was committed (sha256)")
            if place:
                found[wanted.path] = place
    return replace(entry, without=entry.without | broken, places={**entry.places, **found})


def _of_index(entry: LayerCommits, name: str) -> Iterator[_Wanted]:
    for source in entry.commits.gathered:
        if rows := source.row_file(name):
            yield _Wanted(rows.path, rows.size, rows.sha256, gathered=rows)


def _of_blocks(entry: LayerCommits, name: str, broken: set[str]) -> Iterator[_Wanted]:
    """The files of the blocks that no sound index file holds."""
    damaged = [s for s in entry.commits.gathered if (rows := s.row_file(name)) and rows.path in broken]
    units = {
        unit: attempt
        for source in (entry.commits.loose, *damaged)
        for unit, attempt in source.attempts_with(name).items()
    }
    for unit, manifest in entry.layer.manifests(units).items():
        if layout.attempt_name(unit, manifest.attempt) == units[unit]:
            file = manifest.files[name]
            yield _Wanted(f"{manifest.folder}/{name}", file.size, file.sha256, manifest)


def _places(files: Files, wanted: Iterable[_Wanted]) -> list[str | None]:
    """Of each file the place on this machine, or "" if it is read where it is; None if it is damaged."""
    kept = kept_of(files)

    def place(one: _Wanted) -> str | None:
        try:
            if one.size <= LARGEST:
                name = one.path.rsplit("/", 1)[-1]
                return kept.plain(one.path, name, one.sha256, one.size, lambda: files.read(one.path)) or ""
            if one.gathered is not None and kept.find(_SOUND + one.path) is None:
                if one.gathered.problem(files):
                    return None
                kept.put(_SOUND + one.path, b"")
        except (FileNotFoundError, ValueError):
            return None
        return ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(place, wanted))
