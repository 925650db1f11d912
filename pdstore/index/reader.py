"""What a layer has committed: from its index, and from the manifests of the few units that the index does not hold."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from pdstore import layout
from pdstore.blockfile import ROWS
from pdstore.commit import Manifest, read_manifest
from pdstore.files import Files
from pdstore.index.entries import INPUT, Entry, entry_table, joined
from pdstore.index.indexfile import IndexFile, RowFile
from pdstore.records.completion import committed_units

__all__ = ["MANIFESTS_PER_READ", "Commits", "IndexReader", "Source", "read_manifests"]

MANIFESTS_PER_READ = 256
"""Manifests in one gathered read."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """Entries that were read from one place, and which of them are the committed units.

    Attributes:
        table: see :func:`pdstore.index.entries.entry_table`.
        live: the numbers of the rows that count; None if all do.
        file: the index file; None for entries of manifests.
    """

    table: pa.Table
    live: tuple[int, ...] | None = None
    file: IndexFile | None = None

    def column(self, name: str) -> list[Any]:
        """The values of one column in the rows that count; None in all of them if the source lacks the column."""
        if name not in self.table.column_names:
            return [None] * len(self)
        values: list[Any] = self.table.column(name).to_pylist()
        return values if self.live is None else [values[row] for row in self.live]

    def row_file(self, name: str) -> RowFile | None:
        """What gathers one file of its attempts, ``rows.parquet`` or ``errors.parquet``; None if nothing does."""
        if self.file is None:
            return None
        return self.file.rows if name == ROWS else self.file.errors

    def attempts_with(self, name: str) -> dict[int, str]:
        """Unit -> name of its attempt, for the rows that count and whose attempt has this file."""
        has = self.column("has_rows" if name == ROWS else "has_errors")
        return {
            unit: own
            for unit, own, is_there in zip(self.column("unit"), self.column("name"), has, strict=True)
            if is_there
        }

    @cached_property
    def rows(self) -> pa.Table:
        """The rows that count."""
        return self.table if self.live is None else self.table.take(list(self.live))

    @property
    def dead(self) -> list[int]:
        """The units of the rows that do not count."""
        units, live = (
            self.table.column("unit").to_pylist(),
            set(range(len(self.table)) if self.live is None else self.live),
        )
        return [unit for row, unit in enumerate(units) if row not in live]

    def __len__(self) -> int:
        return self.table.num_rows if self.live is None else len(self.live)


@dataclass(frozen=True)
class Commits:
    """The committed units of one layer at one moment.

    Attributes:
        gathered: the index files that hold some of them. loose: the units that no index file holds.
    """

    gathered: tuple[Source, ...] = ()
    loose: Source = field(default_factory=lambda: Source(entry_table([])))

    @property
    def sources(self) -> tuple[Source, ...]:
        return (*self.gathered, self.loose)

    def column(self, name: str) -> list[Any]:
        """One value per unit, in the order of :attr:`units`."""
        return [value for source in self.sources for value in source.column(name)]

    @cached_property
    def units(self) -> list[int]:
        """The committed units, in no particular order."""
        return self.column("unit")

    def by_unit(self, name: str) -> dict[int, Any]:
        """Unit -> its value in one column."""
        return dict(zip(self.units, self.column(name), strict=True))

    @property
    def roles(self) -> list[str]:
        """The input roles that units have recorded."""
        names = {name for source in self.sources for name in source.table.column_names}
        return sorted(name.removeprefix(INPUT) for name in names if name.startswith(INPUT))

    def inputs(self) -> dict[str, dict[int, str]]:
        """Input role -> unit -> content digest of what it read."""
        named = {role: self.by_unit(f"{INPUT}{role}") for role in self.roles}
        for role, read in named.items():
            if None in read.values():
                named[role] = {unit: digest for unit, digest in read.items() if digest is not None}
        return named

    def table(self) -> pa.Table:
        """One row per unit, as :func:`pdstore.index.entries.entry_table`, in the order of :attr:`units`."""
        return joined(source.rows for source in self.sources)

    def __len__(self) -> int:
        return sum(map(len, self.sources))


class IndexReader:
    """Reads what one layer has committed. Whatever it has once read it does not read again.

    An entry, of an index file or of a manifest that was read before, counts only if its unit is committed, its attempt
    is there and was not withdrawn, and there is no attempt on the unit that no index file knows; otherwise the unit's
    manifest is read. So a unit that was withdrawn, repaired or computed again is never answered from an old entry.
    """

    def __init__(self, files: Files, node: str, fingerprint: str) -> None:
        self._files, self._place = files, (node, fingerprint)
        self._indexed: dict[int, IndexFile | None] = {}
        self._known: dict[str, Entry] = {}

    def commits(self) -> Commits:
        """What is committed now. Cost: four listings, and one read per index file or manifest that is new.

        Raises:
            CorruptData: a manifest that has to be read is damaged.
        """
        # The commits first: what is withdrawn and replaced after that is seen in the listings that follow.
        units = committed_units(self._files, *self._place)
        if not units:
            return Commits()
        withdrawn = {name.removesuffix(".json") for name in self._files.names(layout.withdrawals(*self._place))}
        attempts = set(self._files.listed(layout.attempts(*self._place)))
        attempts -= withdrawn
        files = self.index_files()
        # The attempts that no index file knows: their units were committed since, or computed again.
        fresh = attempts.difference(*(file.names for file in files))
        counts = Counter(int(name.partition(".")[0]) for name in fresh if not name.startswith("."))
        gathered = []
        for file in files:
            source = _chosen(file, units, attempts, counts)
            if len(source):
                units -= file.units if source.live is None else set(source.column("unit"))
                gathered.append(source)
        known = {e.name: e for e in self._known.values() if e.name in fresh and counts[e.unit] == 1 and e.unit in units}
        read = read_manifests(self._files, *self._place, sorted(units - {entry.unit for entry in known.values()}))
        self._known = known | {entry.name: entry for entry in map(Entry.of, read)}
        return Commits(tuple(gathered), Source(entry_table(sorted(self._known.values()))))

    def numbers(self) -> list[int]:
        """The numbers of all index files, whether they can be read or not."""
        names = self._files.names(layout.index(*self._place))
        return [int(stem) for name in names if name.endswith(".arrow") and (stem := name[:-6]).isdecimal()]

    def index_files(self) -> list[IndexFile]:
        """All index files that can be read, the highest number first."""
        numbers = sorted(self.numbers(), reverse=True)
        for number in numbers:
            if number not in self._indexed:
                self._indexed[number] = self._index_file(layout.index_file(*self._place, number), number)
        found = [self._indexed[number] for number in numbers]
        return [file for file in found if file is not None]

    def _index_file(self, path: str, number: int) -> IndexFile | None:
        try:
            return IndexFile.from_bytes(self._files.read(path), *self._place, number)
        except FileNotFoundError:
            return None
        except ValueError as error:
            _LOG.warning("%s is left out: %s. Remove it with: pd verify --repair", path, error)
            return None


def read_manifests(files: Files, node: str, fingerprint: str, units: Sequence[int]) -> Iterable[Manifest]:
    """The manifests of units; those that are withdrawn by now are left out.

    Raises:
        CorruptData: a manifest is damaged.
    """
    for first in range(0, len(units), MANIFESTS_PER_READ):
        few = units[first : first + MANIFESTS_PER_READ]
        paths = {layout.commit(node, fingerprint, unit): unit for unit in few}
        try:
            contents = files.read_many(list(paths))
        except FileNotFoundError:
            found = [read_manifest(files, node, fingerprint, unit) for unit in few]
            yield from (manifest for manifest in found if manifest is not None)
        else:
            for path, data in contents.items():
                yield Manifest.from_json(data, node, fingerprint, paths[path])


def _chosen(file: IndexFile, units: Set[int], attempts: Set[str], fresh: Mapping[int, int]) -> Source:
    """The entries of a file whose unit is among ``units`` and has no fresh attempt, and whose own attempt is there."""
    if file.units <= units and file.names <= attempts and file.units.isdisjoint(fresh):
        return Source(file.table, None, file)
    entries = zip(file.table.column("unit").to_pylist(), file.table.column("name").to_pylist(), strict=True)
    is_live = [unit in units and name in attempts and unit not in fresh for unit, name in entries]
    return Source(file.table, tuple(row for row, live in enumerate(is_live) if live), file)
