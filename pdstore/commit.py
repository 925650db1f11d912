"""Attempts and manifests: how a unit of a layer becomes committed, whole or not at all.

An attempt's files are written first, under a name that nobody else uses. Then the manifest, which lists them with
their sizes and sha256, is created at the unit's one path. Creation fails if another attempt was committed first.
Readers only follow manifests, so a killed writer leaves garbage but never half a block.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from pdstore import layout
from pdstore.arrays.archive import ARCHIVE, ARCHIVE_BYTES, archived, in_group, starts
from pdstore.errors import CommitConflict, CorruptData
from pdstore.files import Files
from pdstore.fingerprint import digest
from pdstore.leases.owner import clock
from pdstore.records.announced import announcement

__all__ = ["FileEntry", "Manifest", "commit_attempt", "inputs_digest", "new_attempt", "read_manifest"]

FORMAT = 1
ARCHIVED = 2
"""The format of a manifest whose arrays are in one archive."""
LONG_S = 600.0
REPAIR = "Run: pd verify --repair"


@dataclass(frozen=True)
class FileEntry:
    """Size in bytes and sha256 of one file of an attempt."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> FileEntry:
        return cls(len(data), hashlib.sha256(data).hexdigest())

    def problem(self, data: bytes) -> str:
        """How ``data`` differs from what was committed; empty if it is equal."""
        if len(data) != self.size:
            return f"{len(data)} bytes instead of {self.size}"
        return "" if FileEntry.of(data) == self else "content differs from what was committed (sha256)"


@dataclass(frozen=True)
class Manifest:
    """The record of one commit.

    Attributes:
        fingerprint: of the layer.
        files: name inside the attempt's folder -> size and checksum.
        rows: table -> number of rows, for the layer's table and ``errors``.
        inputs: input role -> content digest of the input that was read.
        host, pid, seconds, created: who wrote it, how long it took, when (seconds since 1970, UTC).
        format: 1, or 2 if the files of the arrays are in one archive: see :meth:`place`.
    """

    node: str
    fingerprint: str
    unit: int
    attempt: str
    files: Mapping[str, FileEntry]
    rows: Mapping[str, int]
    inputs: Mapping[str, str]
    host: str
    pid: int
    seconds: float
    created: float
    format: int = FORMAT

    @property
    def content(self) -> str:
        """Digest of file names and checksums: equal for two attempts that wrote the same bytes."""
        return digest({name: entry.sha256 for name, entry in self.files.items()})

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.files.values())

    @property
    def folder(self) -> str:
        return layout.attempt(self.node, self.fingerprint, self.unit, self.attempt)

    @property
    def archive(self) -> str:
        """The path of the archive that holds the arrays; empty if each of their files is an object of its own."""
        return f"{self.folder}/{ARCHIVE}" if self._starts else ""

    @cached_property
    def _starts(self) -> dict[str, int]:
        return starts({name: e.size for name, e in self.files.items()}) if self.format == ARCHIVED else {}

    def place(self, name: str) -> tuple[str, int]:
        """The path of the object that holds a file of the attempt, and the byte of it at which the file begins."""
        return (self.archive, self._starts[name]) if name in self._starts else (f"{self.folder}/{name}", 0)

    def corrupt(self, problem: str) -> CorruptData:
        """The error for files of the unit that are not what was committed."""
        fix = "Run: pd verify, then pd verify --repair to have the unit computed again"
        return CorruptData(problem, f"{self.node} unit {self.unit}", fix)

    def to_json(self) -> bytes:
        values = asdict(self)
        # On disk and in SQL a layer is named by its fingerprint, so the key there is "layer".
        values["layer"] = values.pop("fingerprint")
        values["digest"] = digest(values)
        return json.dumps(values, sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes, node: str, fingerprint: str, unit: int) -> Manifest:
        """The manifest of this unit.

        Raises:
            CorruptData: the record is not a manifest, was changed since it was written, or is that of another unit.
        """
        where = layout.commit(node, fingerprint, unit)
        try:
            values = json.loads(data)
            is_known = values["format"] in {FORMAT, ARCHIVED}
            manifest = _parsed(values) if is_known else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CorruptData(f"the file is not a manifest ({error!r})", where, REPAIR) from None
        if manifest is None:
            problem = f"expected a manifest of format {FORMAT} or {ARCHIVED}, found format {values['format']}"
            raise CorruptData(problem, where, "Update the program")
        if (manifest.node, manifest.fingerprint, manifest.unit) != (node, fingerprint, unit):
            other = f"unit {manifest.unit} of {manifest.node}, layer {manifest.fingerprint}"
            raise CorruptData(f"the file is the manifest of another unit: {other}", where, REPAIR)
        return manifest


def _parsed(values: dict[str, Any]) -> Manifest:
    """Raises ValueError, KeyError or TypeError if the values are not those that a commit wrote."""
    recorded = values.pop("digest", None)  # the first stores had none
    if recorded is not None and recorded != digest(values):
        raise ValueError("its digest differs from its content")
    values["files"] = {name: FileEntry(**entry) for name, entry in values["files"].items()}
    manifest = Manifest(fingerprint=values.pop("layer"), **values)
    numbers = [manifest.unit, manifest.pid, *manifest.rows.values(), *(e.size for e in manifest.files.values())]
    texts = [manifest.node, manifest.fingerprint, manifest.attempt, manifest.host, *manifest.inputs.values()]
    if not all(type(number) is int for number in numbers) or not all(isinstance(text, str) for text in texts):
        raise TypeError("a value is of the wrong type")
    return manifest


def new_attempt() -> str:
    """A name for an attempt that no other process will choose."""
    return secrets.token_hex(6)


def commit_attempt(
    files: Files,
    node: str,
    fingerprint: str,
    unit: int,
    content: Mapping[str, bytes],
    *,
    rows: Mapping[str, int],
    inputs: Mapping[str, str],
    started: float,
    attempt: str | None = None,
) -> Manifest:
    """Write ``content`` as an attempt and commit it.

    Raises:
        CommitConflict: another attempt of the unit was committed first; this one is garbage.
        StorageFailure: the disk is full or not writable; nothing was committed.
    """
    attempt = attempt or new_attempt()
    now = time.time()
    manifest = Manifest(
        node=node,
        fingerprint=fingerprint,
        unit=unit,
        attempt=attempt,
        files={name: FileEntry.of(data) for name, data in sorted(content.items())},
        rows=dict(rows),
        inputs=dict(inputs),
        host=socket.gethostname(),
        pid=os.getpid(),
        seconds=round(now - started, 3),
        created=now,
        format=FORMAT if files.is_local else _format(content),
    )
    written, begun = _objects(manifest, content), clock()
    written |= announcement(files, node, fingerprint, unit, attempt)
    files.write_many(written)
    if clock() - begun > LONG_S:
        # A process that was paused as long as this lost its lease, and gc may have taken what it had written.
        files.write_many(written)
    _create(files, manifest)
    return manifest


def read_manifest(files: Files, node: str, fingerprint: str, unit: int) -> Manifest | None:
    """The manifest of a unit, or None if the unit is not committed."""
    path = layout.commit(node, fingerprint, unit)
    try:
        return Manifest.from_json(files.read(path), node, fingerprint, unit)
    except FileNotFoundError:
        return None


def inputs_digest(contents: Mapping[int, str]) -> str:
    """One digest of all units of an input layer (unit -> digest of its content): what a barrier has read."""
    return digest({str(unit): content for unit, content in contents.items()})


def _format(content: Mapping[str, bytes]) -> int:
    sizes = [len(content[name]) for name in in_group(content)]
    return ARCHIVED if 0 < sum(sizes) <= ARCHIVE_BYTES else FORMAT


def _objects(manifest: Manifest, content: Mapping[str, bytes]) -> dict[str, bytes]:
    """Path -> content of the objects in which the files of an attempt are written."""
    if not manifest.archive:
        return {f"{manifest.folder}/{name}": data for name, data in content.items()}
    apart = content.keys() - set(in_group(content))
    return {f"{manifest.folder}/{name}": content[name] for name in apart} | {manifest.archive: archived(content)}


def _create(files: Files, manifest: Manifest) -> None:
    path = layout.commit(manifest.node, manifest.fingerprint, manifest.unit)
    if files.create_own(path, manifest.to_json()):
        return
    winner = read_manifest(files, manifest.node, manifest.fingerprint, manifest.unit)
    by = f"attempt {winner.attempt}" if winner else "another attempt"
    raise CommitConflict(f"the unit was already committed by {by}", f"{manifest.node} unit {manifest.unit}")
