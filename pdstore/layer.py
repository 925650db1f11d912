"""Layer: what one node wrote under one fingerprint. It consists of units, each committed whole or not there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from pdstore import layout
from pdstore.blockfile import ERRORS, pack, parquet_bytes, parquet_table
from pdstore.commit import Manifest, commit_attempt, read_manifest
from pdstore.errors import CorruptData, InputMissing
from pdstore.index import Commits, Compacted, compact, read_manifests
from pdstore.info import LayerInfo, read_record
from pdstore.lease import Claim, Lease, claim, current_lease, is_alive
from pdstore.reading.unit import read_files, read_unit
from pdstore.records.announced import announce
from pdstore.records.completion import check_complete, listed_units, lost_units
from pdstore.table import Rows, Table

if TYPE_CHECKING:
    from pdstore.reading.by_image import ImageReader
    from pdstore.store import Store

__all__ = ["Layer"]


class Layer:
    """What ``node`` wrote under ``fingerprint``. Cheap to construct: files are read only when needed."""

    def __init__(self, store: Store, node: str, fingerprint: str) -> None:
        self.store, self.node, self.fingerprint = store, node, fingerprint
        self._files = store.files
        self._info: LayerInfo | None = None
        self._manifests: dict[int, Manifest] = {}
        self._by_image: ImageReader | None = None

    @property
    def info(self) -> LayerInfo:
        """The layer's record.

        Raises:
            InputMissing: the node has never run under this fingerprint.
            CorruptData: the record is damaged, or is that of another layer.
        """
        if self._info is None:
            path = layout.layer_info(self.node, self.fingerprint)
            recent = self.store.recent_reader(self.node, self.fingerprint) if self._files.is_asked_once else None
            try:
                self._info = read_record(self._files, path, LayerInfo.from_dict, recent.record() if recent else None)
            except FileNotFoundError:
                problem = f"there is no output of {self.node} yet"
                raise InputMissing(problem, self.node, f"Run: pd stage run {self.node}") from None
            found = (self._info.node, self._info.identity.fingerprint)
            if found != (self.node, self.fingerprint):
                self._info = None
                problem = f"the file is the record of another layer, {found[1]} of {found[0]}"
                raise CorruptData(problem, self._files.full(path), "Run: pd verify --repair")
        return self._info

    @property
    def table(self) -> Table:
        return self.info.table

    def units(self) -> list[int]:
        """Committed units, sorted. Costs one listing, and a read unless all units of the layer have been committed.

        Raises:
            CorruptData: a manifest is missing of a layer that was complete.
        """
        if self._files.is_asked_once:
            return sorted(self.commits().units)
        found = self.listed_units()
        self._check_complete(found)
        return found

    def listed_units(self) -> list[int]:
        """The units whose manifests are there, sorted. Costs one listing."""
        return listed_units(self._files, self.node, self.fingerprint)

    def kept_units(self) -> list[int]:
        """The units that are committed, and those whose manifest was lost, sorted. Costs as much as :meth:`units`."""
        found = self.listed_units()
        return sorted({*found, *lost_units(self._files, self.node, self.fingerprint, found)})

    def commits(self) -> Commits:
        """What is committed now, without the lists of files.

        Cost: four listings, and one read per file that is new; one more unless the layer has been complete. In an
        object store: one listing, and one read per announced unit.

        Raises:
            CorruptData: a manifest that has to be read is damaged, or one of a layer that was complete is gone.
        """
        reader = None if self._files.is_local else self.store.recent_reader(self.node, self.fingerprint)
        if reader is not None and (recent := reader.commits()) is not None:
            self._manifests.update(reader.manifests)
            if reader.is_lacking:
                self._check_complete(recent.units)
            return recent
        return self.listed_commits()

    def listed_commits(self) -> Commits:
        """The same, from every commit, attempt and withdrawal that is listed, and from no announcement."""
        found = self.store.index_reader(self.node, self.fingerprint).commits()
        self._check_complete(found.units)
        return found

    def compact(self, *, everything: bool = False) -> Compacted:
        """Add new commits to the layer's index, if they are worth a file: see :func:`pdstore.index.compact`."""
        schema = self.table.arrow_schema
        return compact(self._files, self.node, self.fingerprint, schema, everything=everything)

    def manifest(self, unit: int) -> Manifest:
        """The manifest of a unit. Raises InputMissing if the unit is not committed."""
        return self._manifests[unit] if unit in self._manifests else self._newest(unit)

    def manifests(self, units: Iterable[int] | None = None) -> dict[int, Manifest]:
        """Unit -> manifest, of all committed units or of ``units``; units withdrawn in the meantime are left out."""
        wanted = self.units() if units is None else sorted(units)
        unread = [unit for unit in wanted if unit not in self._manifests]
        read = read_manifests(self._files, self.node, self.fingerprint, unread)
        self._manifests.update({manifest.unit: manifest for manifest in read})
        return {unit: self._manifests[unit] for unit in wanted if unit in self._manifests}

    def newest_manifest(self, unit: int) -> Manifest | None:
        """The manifest as it is now, even if it was read before; None if the unit is not committed."""
        manifest = read_manifest(self._files, self.node, self.fingerprint, unit)
        if manifest is None:
            self._manifests.pop(unit, None)
        else:
            self._manifests[unit] = manifest
        return manifest

    def read(self, unit: int, columns: Iterable[str] | None = None) -> Rows:
        """Rows of a committed unit, with all columns or those in ``columns``, in one gathered read.

        Raises:
            InputMissing: the unit is not committed.
            CorruptData: a file is missing, or fails its checksum.
        """
        return read_unit(self._files, self.manifest(unit), self.table, self._known(columns))

    def read_images(self, unit: int, image_ids: Iterable[int], columns: Iterable[str] | None = None) -> Rows:
        """The rows of some images, in the order of the unit, without the masks and vectors of the others.

        What is read is verified by the checksums of its chunks. An image that has no rows in the unit adds none.

        Raises:
            InputMissing: the unit is not committed.
            CorruptData: a file is missing, or what was read fails its checksum.
            ValueError: there is no such column, or the table has no column ``image_id``.
        """
        from pdstore.reading.by_image import ImageReader

        self._known(["image_id"])
        self._by_image = self._by_image or ImageReader(self._files)
        return self._by_image.read(self.manifest(unit), self.table, self._known(columns), image_ids)

    def scan(self, columns: Iterable[str] | None = None, units: Iterable[int] | None = None) -> Iterator[Rows]:
        """Rows, unit by unit, so that only one unit is in memory at a time."""
        names = None if columns is None else list(columns)
        for unit in self.units() if units is None else units:
            yield self.read(unit, names)

    def errors(self, unit: int) -> pa.Table | None:
        """The error rows of a unit, or None if there are none."""
        manifest = self.manifest(unit)
        if ERRORS not in manifest.files:
            return None
        return parquet_table(read_files(self._files, manifest, [ERRORS])[ERRORS])

    def file(self, unit: int, name: str) -> bytes:
        """An extra file of a unit, such as a checkpoint.

        Raises:
            InputMissing: the unit is not committed, or has no such file.
            CorruptData: the file is missing, or not what was committed.
        """
        manifest = self.manifest(unit)
        if name not in manifest.files:
            problem = f"expected a file {name} in the unit, found {sorted(manifest.files)}"
            raise InputMissing(problem, f"{self.node} unit {unit}")
        return read_files(self._files, manifest, [name])[name]

    def commit(
        self,
        unit: int,
        rows: Rows,
        *,
        errors: Rows | None = None,
        extra: Mapping[str, bytes] | None = None,
        inputs: Mapping[str, str] | None = None,
        started: float | None = None,
    ) -> Manifest:
        """Write and commit a unit.

        Args:
            rows: rows of this layer's table. errors: rows of the table ``errors``.
            extra: further files, such as a checkpoint.
            inputs: input role -> content digest of the input that was read.
            started: when the work began, in seconds since 1970; now, unless set.

        Raises:
            CommitConflict: another worker committed the unit first.
            StorageFailure: no space, or no permission.
        """
        content = {**pack(rows), **(extra or {})}
        counts = {self.table.name: len(rows)}
        if errors is not None and len(errors):
            content[ERRORS] = parquet_bytes(errors.to_arrow())
            counts["errors"] = len(errors)
        return commit_attempt(
            self._files,
            self.node,
            self.fingerprint,
            unit,
            content,
            rows=counts,
            inputs=inputs or {},
            started=time.time() if started is None else started,
        )

    def withdraw(self, unit: int) -> None:
        """Take a unit back, so that it is computed again. Its manifest and files are kept until ``gc``.

        Raises:
            InputMissing: the unit is not committed.
        """
        manifest = self._newest(unit)
        announce(self._files, self.node, self.fingerprint, unit, manifest.attempt)
        kept = layout.withdrawn(self.node, self.fingerprint, unit, manifest.attempt)
        self._files.create(kept, manifest.to_json())
        self._files.remove(layout.commit(self.node, self.fingerprint, unit))
        self._manifests.pop(unit, None)

    def claim(self, unit: int) -> Claim | None:
        """A lease on a unit, or None if a live worker holds one."""
        return claim(self._files, self.node, self.fingerprint, unit)

    def is_held_alive(self, unit: int) -> bool:
        """True if the worker that kept us from claiming the unit is known to be alive; nothing is read for it."""
        return is_alive(self._files, self.node, self.fingerprint, unit)

    def leases(self) -> dict[int, Lease]:
        return current_lease(self._files, self.node, self.fingerprint)

    def _check_complete(self, units: list[int]) -> None:
        key = (self.node, self.fingerprint)
        self.store.complete[key] = check_complete(self._files, *key, units, self.store.complete.get(key))

    def _known(self, columns: Iterable[str] | None) -> list[str]:
        """All columns if ``columns`` is None. Raises ValueError if there is no such column."""
        names = list(self.table.names if columns is None else columns)
        unknown = set(names) - set(self.table.names)
        if unknown:
            raise ValueError(f"{self.table.name} has no column {sorted(unknown)}; it has {list(self.table.names)}")
        return names

    def _newest(self, unit: int) -> Manifest:
        manifest = self.newest_manifest(unit)
        if manifest is None:
            fix = f"Run: pd stage run {self.node}"
            raise InputMissing("the unit is not committed", f"{self.node} unit {unit}", fix)
        return manifest
