"""Whether the Parquet files that a query reads are what was committed: DuckDB compares no checksums.

Each file is read once and compared with its sha256. That it is sound is noted in ``catalog.checked``, with its size and
the times of its last change, so that a later query only looks at these. The note is a cache: deleting it loses nothing.

Of a store in an object store the files are fetched into the user's cache folder, where they are compared, and the query
reads them there; those that are too large for that are compared by their size and their end, and read where they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import partial

from pdstore import layout
from pdstore.blockfile import ERRORS, ROWS
from pdstore.commit import FileEntry
from pdstore.files import Files
from pdstore.files.local import replace_file
from pdstore.index import Source
from pdstore.inventory import LayerCommits
from pdstore.sql.fetched_rows import fetched

__all__ = ["SoundRows"]

Stamp = list[int]
"""Size in bytes; times of the last change of content and of the inode, in nanoseconds."""


class SoundRows:
    """The files of rows of one store that are known to be sound."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._known: dict[str, Stamp] = {}
        self._is_loaded = self._has_changed = False

    def checked(self, layers: Iterable[LayerCommits], words: Collection[str] | None) -> list[LayerCommits]:
        """The layers, each without the gathered rows that are damaged: the files of the blocks are read instead.

        Args:
            words: the names in the query; None stands for a query that may read any table.

        Raises:
            CorruptData: the rows of a block that the query may read are damaged.
        """
        if not self._files.is_local:
            return [fetched(entry, list(_files_read(entry, words))) for entry in layers]
        self._load()
        found = []
        for entry in layers:
            broken = [path for file in _files_read(entry, words) for path in self._check(entry, file)]
            found.append(replace(entry, without=frozenset(broken)) if broken else entry)
        self._save()
        return found

    def _check(self, entry: LayerCommits, file: str) -> Iterator[str]:
        """The gathered rows that are damaged. Raises CorruptData if the file of a block is."""
        singles = [entry.commits.loose]
        for source in entry.commits.gathered:
            rows = source.row_file(file)
            if rows is not None and self._problem(rows.path, partial(rows.problem_anywhere, self._files)):
                singles.append(source)
                yield rows.path
        self._check_blocks(entry, file, singles)

    def _check_blocks(self, entry: LayerCommits, file: str, sources: Iterable[Source]) -> None:
        layer, unknown = entry.layer, {}
        for source in sources:
            for unit, name in source.attempts_with(file).items():
                path = f"{layout.attempts(layer.node, layer.fingerprint)}/{name}/{file}"
                if self._stamp(path) != self._known.get(path, []):
                    unknown[unit] = path
        for unit, manifest in layer.manifests(unknown).items():
            path = unknown[unit]
            if path != f"{manifest.folder}/{file}":
                continue  # computed again since
            if problem := self._problem(path, partial(self._difference, manifest.files[file], path)):
                raise manifest.corrupt(f"{file} is damaged: {problem}")

    def _difference(self, entry: FileEntry, path: str) -> str:
        return entry.problem(self._files.read(path))

    def _problem(self, path: str, compare: Callable[[], str]) -> str:
        """How a file differs from what was committed; empty if it is known not to, or does not."""
        stamp = self._stamp(path)
        if stamp and stamp == self._known.get(path):
            return ""
        try:
            problem = compare()
        except FileNotFoundError:
            return "missing"
        if not problem:
            self._known[path], self._has_changed = stamp, True
        return problem

    def _stamp(self, path: str) -> Stamp:
        try:
            found = os.stat(self._files.full(path))
        except OSError:
            return []
        return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]

    def _load(self) -> None:
        if self._is_loaded:
            return
        self._is_loaded = True
        with contextlib.suppress(OSError, ValueError):
            digest, _, content = self._files.read(layout.CHECKED).partition(b"\n")
            if hashlib.sha256(content).hexdigest().encode() == digest:
                self._known = json.loads(content)

    def _save(self) -> None:
        """Without permission or space the next query reads the files again."""
        if not self._has_changed:
            return
        known = {path: stamp for path, stamp in self._known.items() if os.path.exists(self._files.full(path))}
        content = json.dumps(known).encode()
        path, data = self._files.full(layout.CHECKED), hashlib.sha256(content).hexdigest().encode() + b"\n" + content
        with contextlib.suppress(OSError):
            replace_file(path, data)
            self._has_changed = False


def _files_read(entry: LayerCommits, words: Collection[str] | None) -> Iterator[str]:
    """Which of the two files of rows of a layer a query may read."""
    for file, table in ((ROWS, entry.layer.table.name), (ERRORS, "errors")):
        if words is None or f"{table}_all" in words or (entry.is_current and table in words):
            yield file
