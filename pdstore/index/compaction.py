"""Adding to the index of a layer: new commits become a file, and many small files become a larger one.

Files are only created, never changed. Whoever creates the next number first has added to the index; the work of the
other is removed. What a larger file holds again counts in it alone, and ``pd gc`` deletes the smaller ones later.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pdstore import layout
from pdstore.blockfile import ERRORS, ROWS, parquet_table
from pdstore.commit import new_attempt
from pdstore.errors import StorageFailure
from pdstore.files import Files
from pdstore.files.objects import Stamp
from pdstore.index.indexfile import IndexFile, RowFile
from pdstore.index.reader import Commits, IndexReader, Source, read_manifests
from pdstore.index.recent import settle
from pdstore.index.rowfiles import GatheredRows, write_rows

__all__ = ["FAN", "LARGE_UNITS", "RUN_UNITS", "Compacted", "compact"]

RUN_UNITS = 256
"""New commits that are worth a file."""
FAN = 16
"""So many small files become one."""
LARGE_UNITS = RUN_UNITS * FAN
"""Units in the largest files, which are written again only to leave out units that no longer count."""
UNITS_PER_READ = 16
"""Blocks in one gathered read."""

_COUNTS = {ROWS: "rows", ERRORS: "errors"}
"""File of a block -> the column of its entry that counts its rows."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compacted:
    """What was added to an index.

    Attributes:
        units: in the new files. added: numbers of the new files. files: that hold live units now.
        left_out: units that are damaged, which stay as they are.
    """

    units: int = 0
    added: tuple[int, ...] = ()
    files: int = 0
    left_out: tuple[int, ...] = ()


def compact(files: Files, node: str, fingerprint: str, schema: pa.Schema, *, everything: bool = False) -> Compacted:
    """Add what is committed to the index, if it is worth a file.

    Args:
        schema: of the layer's rows.
        everything: also fewer units than :data:`RUN_UNITS`, and all small files become as few large ones as possible,
            together with those that hold units that no longer count: SQL filters the rows of such a file.

    Cost: reads and writes the scalar rows of the units that are added; behind the work each row is written twice.

    Raises:
        CorruptData: a manifest is damaged.
        StorageFailure: no space, or no permission.
    """
    reader, is_remote = IndexReader(files, node, fingerprint), not files.is_local
    before = files.tree(layout.recent(node, fingerprint)) if is_remote else {}
    commits = reader.commits()
    added: list[int] = []
    written, left_out = 0, list[int]()
    for units in _planned(commits, everything):
        with contextlib.ExitStack() as opened:
            made = _Making(files, (node, fingerprint), schema, commits, opened)
            file = made.file(units, max(reader.numbers(), default=-1) + 1)
        left_out += made.damaged
        if file is None:
            break
        added.append(file.number)
        written += len(file.table)
    commits = reader.commits() if added else commits
    if is_remote:
        _settle(files, node, fingerprint, before, commits)
    return Compacted(written, tuple(added), len(commits.gathered), tuple(sorted(left_out)))


def _settle(files: Files, node: str, fingerprint: str, before: Mapping[str, Stamp], commits: Commits) -> None:
    record = b""
    if layout.recent_layer(node, fingerprint) not in before:
        with contextlib.suppress(FileNotFoundError):
            record = files.read(layout.layer_info(node, fingerprint))
    settle(files, node, fingerprint, before, commits, record=record)


def _planned(commits: Commits, everything: bool) -> list[list[int]]:
    """The units of each file to be written."""
    loose = commits.loose.column("unit")
    small = [s for s in commits.gathered if 2 * len(s) < LARGE_UNITS or (everything and s.live is not None)]
    if everything:
        if len(loose) + len(small) < 2 and all(source.live is None for source in small):
            return []
    elif len(loose) < RUN_UNITS:
        return []
    merged = small if everything or len(small) + 1 >= FAN else []
    units = sorted([*loose, *(unit for source in merged for unit in source.column("unit"))])
    return [units[first : first + LARGE_UNITS] for first in range(0, len(units), LARGE_UNITS)]


class _Making:
    """Makes one index file.

    Attributes:
        damaged: units whose files are not what was committed.
    """

    def __init__(
        self, files: Files, place: tuple[str, str], schema: pa.Schema, commits: Commits, opened: contextlib.ExitStack
    ) -> None:
        self._files, self._place, self._schema, self._commits, self._opened = files, place, schema, commits, opened
        self.damaged: set[int] = set()

    def file(self, units: Sequence[int], number: int) -> IndexFile | None:
        """The file with these units, as it was created; None if another worker was first, or nothing is sound."""
        token = f"{number:05d}.{new_attempt()}"
        found: dict[str, RowFile | None] = {}
        try:
            for name in (ROWS, ERRORS):
                path = layout.index_rows(*self._place, token, name)
                found[name] = write_rows(self._files, path, self._rows(units, name))
            # A unit whose errors are damaged has its rows in the file already: then all is written again without it.
            if self.damaged:
                return self._again(units, number, found)
            table = _entries_of(self._commits, units)
            file = IndexFile(*self._place, number, table, found[ROWS], found[ERRORS])
            if len(table) and self._files.create_own(file.path, file.to_bytes()):
                return file
        except BaseException:
            # A call that failed may have created the file, which names these rows; if none does, gc removes them.
            if not self._may_exist(layout.index_file(*self._place, number)):
                self._remove(found)
            raise
        self._remove(found)
        return None

    def _may_exist(self, path: str) -> bool:
        try:
            return self._files.exists(path)
        except (OSError, StorageFailure):
            return True

    def _again(self, units: Sequence[int], number: int, found: Mapping[str, RowFile | None]) -> IndexFile | None:
        self._remove(found)
        damaged, self.damaged = self.damaged, set()
        try:
            return self.file([unit for unit in units if unit not in damaged], number)
        finally:
            self.damaged |= damaged

    def _remove(self, found: Mapping[str, RowFile | None]) -> None:
        for file in found.values():
            if file is not None:
                self._files.remove(file.path)

    def _rows(self, units: Sequence[int], name: str) -> Iterator[tuple[int, pa.Table]]:
        """The rows of each unit that has some, from the index files that hold them, or from their blocks."""
        has, counts = self._commits.by_unit(f"has_{_COUNTS[name]}"), self._commits.by_unit(_COUNTS[name])
        gathered, attempts = self._gathered(name), self._commits.by_unit("attempt")
        single = {unit: attempts[unit] for unit in units if unit not in gathered and has[unit]}
        blocks = _Blocks(self._files, self._place, single, name)
        schema = self._schema if name == ROWS else None
        for unit in units:
            if not has[unit] or unit in self.damaged:
                continue
            rows = gathered[unit].of(unit) if unit in gathered else blocks.of(unit)
            try:
                if rows is None or len(rows) != counts[unit]:
                    raise ValueError("its files are not what was committed")
                schema = rows.schema if schema is None else schema
                yield unit, rows.select(schema.names).cast(schema)
            except (ValueError, KeyError, pa.ArrowException) as error:
                _LOG.warning("%s unit %d is left out of the index: %s", self._place[0], unit, error)
                self.damaged.add(unit)

    def _gathered(self, name: str) -> dict[int, GatheredRows]:
        found: dict[int, GatheredRows] = {}
        for source in self._commits.gathered:
            file = source.row_file(name)
            if file and not file.problem_anywhere(self._files):
                rows = _opened(self._files, file, source, _COUNTS[name], self._opened)
                found |= dict.fromkeys(source.column("unit"), rows)
        return found


def _opened(files: Files, file: RowFile, source: Source, count: str, opened: contextlib.ExitStack) -> GatheredRows:
    handle = opened.enter_context(files.open(file.path))
    return GatheredRows(handle, source.table.column("unit").to_pylist(), source.table.column(count).to_pylist())


class _Blocks:
    """One file of the blocks of units, some at a time, compared with their manifests. Units are asked for in order.

    Args:
        attempts: unit -> the attempt that is wanted, whatever has replaced it by now.
    """

    def __init__(self, files: Files, place: tuple[str, str], attempts: Mapping[int, str], name: str) -> None:
        self._files, self._place, self._attempts, self._name = files, place, attempts, name
        self._units = list(attempts)
        self._next, self._held = 0, dict[int, pa.Table | None]()

    def of(self, unit: int) -> pa.Table | None:
        """The rows of a unit; None if the file is damaged, or the attempt was withdrawn."""
        if unit not in self._held:
            few = self._units[self._next : self._next + UNITS_PER_READ]
            self._next += len(few)
            self._held = {number: None for number in few} | self._read(few)
        return self._held.pop(unit, None)

    def _read(self, units: Sequence[int]) -> dict[int, pa.Table | None]:
        found_manifests = read_manifests(self._files, *self._place, units)
        manifests = {m.unit: m for m in found_manifests if m.attempt == self._attempts[m.unit]}
        paths = {f"{m.folder}/{self._name}": unit for unit, m in manifests.items() if self._name in m.files}
        try:
            contents = self._files.read_many(list(paths))
        except FileNotFoundError:
            if len(units) == 1:
                return {}
            return {unit: rows for few in units for unit, rows in self._read([few]).items()}
        found: dict[int, pa.Table | None] = {}
        for path, data in contents.items():
            is_sound = not manifests[paths[path]].files[self._name].problem(data)
            found[paths[path]] = parquet_table(data) if is_sound else None
        return found


def _entries_of(commits: Commits, units: Sequence[int]) -> pa.Table:
    """The entries of these units, in their order."""
    table = commits.table()
    found = table.column("unit").to_numpy()
    order = np.argsort(found, kind="stable")
    return table.take(order[np.searchsorted(found[order], np.asarray(units, np.int64))]).combine_chunks()
