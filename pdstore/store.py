"""Store and Layer: what a stage reads and writes.

A store is a folder (or an fsspec URL) that holds layers. A layer is what one node wrote under one fingerprint.
It consists of units, each of which is either committed whole or does not exist.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from pdstore import layout
from pdstore.blockfile import ERRORS, pack, parquet_bytes, parquet_table
from pdstore.commit import Manifest, commit_attempt, read_manifest
from pdstore.errors import InputMissing, UsageError
from pdstore.files import Files
from pdstore.fingerprint import Identity
from pdstore.index import Commits, Compacted, IndexReader, compact, read_manifests
from pdstore.info import FORMAT, LayerInfo, StoreInfo, read_record
from pdstore.lease import Claim, Lease, claim, current_lease, is_alive
from pdstore.reading.unit import read_files, read_unit
from pdstore.table import Rows, Table

if TYPE_CHECKING:
    from pdstore.reading.by_image import ImageReader

__all__ = ["FORMAT", "Layer", "LayerInfo", "Store", "StoreInfo"]


class Store:
    """An existing store.

    Args:
        url: a local folder or an fsspec URL.
        options: passed on to fsspec.

    Raises:
        UsageError: there is no store at ``url``.
        CorruptData: store.json cannot be read, or has a newer format.
    """

    def __init__(self, url: str, **options: object) -> None:
        self.files = Files(url, **options)
        self.url = url
        self._readers: dict[tuple[str, str], IndexReader] = {}
        try:
            self.info = read_record(self.files, layout.STORE, StoreInfo.from_dict)
        except FileNotFoundError:
            fix = "Make one with: pd init STORE --images DIR. Or name yours: pd --store STORE …, or set PD_STORE"
            raise UsageError(f"there is no store here (no {layout.STORE})", where=url, fix=fix) from None

    @classmethod
    def create(cls, url: str, info: StoreInfo, **options: object) -> Store:
        """Make a new store.

        Raises:
            UsageError: a store already exists at ``url``.
        """
        data = json.dumps(dict(vars(info)), sort_keys=True, indent=1).encode()
        if not Files(url, **options).create(layout.STORE, data):
            fix = "Choose another folder, or add new images to this one with: pd init STORE --images DIR --add"
            raise UsageError("a store already exists here", where=url, fix=fix)
        return cls(url, **options)

    def replace_info(self, info: StoreInfo) -> None:
        self.files.write(layout.STORE, json.dumps(dict(vars(info)), sort_keys=True, indent=1).encode())
        self.info = info

    def current(self) -> dict[str, str]:
        """Node -> fingerprint of its layer in the recorded pipeline; empty if no pipeline is recorded."""
        try:
            return read_record(self.files, layout.PIPELINE, lambda values: dict(values["current"]))
        except FileNotFoundError:
            return {}

    def nodes(self) -> list[str]:
        return self.files.names(layout.LAYERS)

    def layers(self, node: str) -> list[Layer]:
        """Every declared layer of a node, in whatever state."""
        return [Layer(self, node, name) for name in self.files.names(layout.layers(node))]

    def layer(self, node: str, fingerprint: str) -> Layer:
        return Layer(self, node, fingerprint)

    def index_reader(self, node: str, fingerprint: str) -> IndexReader:
        """The one reader of a layer's commits in this process, which keeps what it has read."""
        return self._readers.setdefault((node, fingerprint), IndexReader(self.files, node, fingerprint))

    def declare(self, node: str, identity: Identity, table: Table, program: str) -> Layer:
        """The layer of ``node`` with this identity. It is made if it does not exist."""
        layer = Layer(self, node, identity.fingerprint)
        path = layout.layer_info(node, layer.fingerprint)
        # Checked first, so that a run with nothing to do also works where it may not write.
        if not self.files.exists(path):
            info = LayerInfo(node, identity, table, program)
            self.files.create(path, json.dumps(info.to_dict(), sort_keys=True, indent=1).encode())
        return layer


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
        """The layer's record. Raises InputMissing if the node has never run under this fingerprint."""
        if self._info is None:
            path = layout.layer_info(self.node, self.fingerprint)
            try:
                self._info = read_record(self._files, path, LayerInfo.from_dict)
            except FileNotFoundError:
                problem = f"there is no output of {self.node} yet"
                raise InputMissing(problem, self.node, f"Run: pd stage run {self.node}") from None
        return self._info

    @property
    def table(self) -> Table:
        return self.info.table

    def units(self) -> list[int]:
        """Committed units, sorted. Costs one listing."""
        names = self._files.names(layout.commits(self.node, self.fingerprint))
        return sorted(int(name.removesuffix(".json")) for name in names if name.endswith(".json"))

    def commits(self) -> Commits:
        """What is committed now, without the lists of files. Cost: four listings, and one read per file that is new.

        Raises:
            CorruptData: a manifest that the index does not hold is damaged.
        """
        return self.store.index_reader(self.node, self.fingerprint).commits()

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
