"""Checking the index of a layer against the commits that it was derived from, and finding what is no longer used."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pdstore import layout
from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.index.indexfile import IndexFile
from pdstore.index.reader import IndexReader, Source, read_manifests

__all__ = ["index_problems", "unused_index_files"]


def index_problems(files: Files, node: str, fingerprint: str) -> Iterator[tuple[str, str]]:
    """Path and problem of each index file that is damaged, whose rows are, or that contradicts a manifest.

    Cost: reads the index, its rows, and the manifests of all units that it holds.
    """
    reader = IndexReader(files, node, fingerprint)
    sound: set[int] = set()
    for number in reader.numbers():
        path = layout.index_file(node, fingerprint, number)
        try:
            file = IndexFile.from_bytes(files.read(path), node, fingerprint, number)
        except ValueError as error:
            yield path, str(error)
            continue
        problems = [
            f"{rows.path.rsplit('/', 1)[-1]}: {p}" for rows in file.row_files if (p := rows.problem_anywhere(files))
        ]
        if problems:
            yield path, "; ".join(problems)
        else:
            sound.add(number)
    try:
        gathered = reader.commits().gathered if sound else ()
    except CorruptData:
        return  # the damaged manifest is reported with its unit
    for source in gathered:
        if source.file is not None and source.file.number in sound:
            yield from ((source.file.path, problem) for problem in _contradictions(files, node, fingerprint, source))


def unused_index_files(files: Files, node: str, fingerprint: str) -> Iterator[tuple[str, float, str]]:
    """Path, time of last use (seconds since 1970) and reason of what ``pd gc`` may delete of an index, files first that
    name others.

    Raises:
        CorruptData: a manifest that the index does not hold is damaged.
    """
    folder = layout.index(node, fingerprint)
    # Listed first: rows that are written in the meantime are young, and named by a file that is read below.
    names = files.names(folder)
    if not names:
        return
    reader = IndexReader(files, node, fingerprint)
    gathered = reader.commits().gathered
    live = {source.file.number for source in gathered if source.file is not None}
    indexed = reader.index_files()
    for file in indexed:
        if file.number not in live:
            used = max(_times(files, [file.path, *_holders(file, gathered)]))
            yield file.path, used, "index file that larger ones have replaced"
            yield from (
                (rows.path, used, "rows of an index file that larger ones have replaced") for rows in file.row_files
            )
    named = {path for file in indexed for path in (file.path, *(rows.path for rows in file.row_files))}
    for name in names:
        path = f"{folder}/{name}"
        if path not in named and name.endswith(".parquet"):
            yield path, max(_times(files, [path])), "rows that no index file names"


def _contradictions(files: Files, node: str, fingerprint: str, source: Source) -> Iterator[str]:
    said = dict(
        zip(source.column("unit"), zip(source.column("attempt"), source.column("content"), strict=True), strict=True)
    )
    try:
        manifests = list(read_manifests(files, node, fingerprint, sorted(said)))
    except CorruptData:
        return
    for manifest in manifests:
        if said[manifest.unit] != (manifest.attempt, manifest.content):
            yield f"it says attempt {said[manifest.unit][0]} of unit {manifest.unit}, committed is {manifest.attempt}"
            return


def _holders(file: IndexFile, gathered: tuple[Source, ...]) -> Iterator[str]:
    """The index files that hold units of ``file``; readers of that may go on until these were made."""
    units = set(file.table.column("unit").to_pylist())
    for source in gathered:
        if source.file is not None and not units.isdisjoint(source.column("unit")):
            yield source.file.path


def _times(files: Files, paths: list[str]) -> list[float]:
    times = []
    for path in paths:
        try:
            times.append(files.newest(path))
        except FileNotFoundError:
            times.append(time.time())
    return times
