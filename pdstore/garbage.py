"""Garbage: what no manifest names and nobody uses. It is listed first, and looked at again before it is deleted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pdstore import layout
from pdstore.index import unused_index_files
from pdstore.lease import stray_beats
from pdstore.store import Layer, Store

__all__ = ["Garbage", "delete_garbage", "find_garbage"]

WEEK_S = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Garbage:
    """A folder or file that no manifest names.

    Attributes:
        path: relative to the store. size: of all its files, in bytes.
        age_s: seconds since it was last written, or, for an attempt that was withdrawn, since then.
        attempt: (node, fingerprint, unit, attempt), for the files of an attempt.
        lease: (node, fingerprint, unit), for the files of a lease.
    """

    path: str
    size: int
    age_s: float
    reason: str
    attempt: tuple[str, str, int, str] | None = None
    lease: tuple[str, str, int] | None = None


def find_garbage(store: Store, older_than_s: float = WEEK_S, now: float | None = None) -> list[Garbage]:
    """What nobody uses, older than ``older_than_s`` seconds: attempts that no manifest names, expired leases, temporary
    files, and index files that larger ones have replaced.

    An attempt on a unit that somebody holds a live lease on is never garbage: it may be about to be committed. The
    lease of a process of another machine counts as live until it was seen unchanged for its time to live.
    """
    now = time.time() if now is None else now
    garbage: list[Garbage] = []
    folders = ["", layout.LISTINGS, layout.SELECTIONS, layout.JUDGEMENTS, layout.PIPELINES, layout.JOBS]
    for node in store.nodes():
        for layer in store.layers(node):
            garbage += _loose_attempts(layer, now)
            garbage += _unused_index(layer, now)
            garbage += _dead_leases(layer, now)
            garbage += _stray_beats(layer, now)
            folders += _folders_of(layer)
            folders.append(layout.leases(node, layout.indexer(layer.fingerprint)))
            garbage += _unfinished_checkpoints(layer, now)
    garbage += [item for folder in folders for item in _leftovers(store, folder, now)]
    return [item for item in garbage if item.age_s > older_than_s]


def delete_garbage(store: Store, garbage: Garbage) -> bool:
    """Delete it. False if it is in use by now, and was left.

    The manifest and the lease of an attempt's unit are read again: hours may lie between a list and its confirmation.
    """
    if garbage.attempt is not None:
        node, fingerprint, unit, attempt = garbage.attempt
        layer = store.layer(node, fingerprint)
        manifest = layer.newest_manifest(unit)
        if (manifest is not None and manifest.attempt == attempt) or unit in _live_units(layer):
            return False
    if garbage.lease is not None:
        node, fingerprint, unit = garbage.lease
        if unit in _live_units(store.layer(node, fingerprint)):
            return False
    store.files.remove_tree(garbage.path)
    return True


def _loose_attempts(layer: Layer, now: float) -> Iterator[Garbage]:
    files, folder = layer.store.files, layout.attempts(layer.node, layer.fingerprint)
    # Read before the manifests: an attempt that is committed in between is in them.
    names = files.names(folder)
    live = _live_units(layer)
    commits = layer.listed_commits()
    committed = set(zip(commits.units, commits.column("attempt"), strict=True))
    withdrawals = layout.withdrawals(layer.node, layer.fingerprint)
    withdrawn = {name.removesuffix(".json") for name in files.names(withdrawals)}
    for name in names:
        unit, attempt = layout.parse_attempt(name)
        if (unit, attempt) in committed or unit in live:
            continue
        path = f"{folder}/{name}"
        used = files.newest(path)
        if name in withdrawn:
            # Until then it was committed, and readers that found it so may still be reading.
            used = max(used, files.newest(f"{withdrawals}/{name}.json"))
        size, key = sum(files.sizes(path).values()), (layer.node, layer.fingerprint, unit, attempt)
        yield Garbage(path, size, now - used, "attempt that no manifest names", key)


def _unused_index(layer: Layer, now: float) -> Iterator[Garbage]:
    files = layer.store.files
    for path, used, reason in unused_index_files(files, layer.node, layer.fingerprint):
        yield Garbage(path, sum(files.sizes(path).values()), now - used, reason)


def _live_units(layer: Layer) -> set[int]:
    return {unit for unit, lease in layer.leases().items() if not lease.is_expired}


def _dead_leases(layer: Layer, now: float) -> Iterator[Garbage]:
    for unit, lease in layer.leases().items():
        if lease.is_expired:
            key = layer.node, layer.fingerprint, unit
            for path in lease.files:
                with contextlib.suppress(FileNotFoundError):
                    age_s = now - layer.store.files.newest(path)
                    yield Garbage(path, 0, age_s, "lease of a worker that is gone", lease=key)


def _stray_beats(layer: Layer, now: float) -> Iterator[Garbage]:
    files = layer.store.files
    for path in stray_beats(files, layer.node, layer.fingerprint):
        with contextlib.suppress(FileNotFoundError):
            yield Garbage(path, 0, now - files.newest(path), "heartbeat of a worker that had lost its lease")


def _folders_of(layer: Layer) -> list[str]:
    """The folders of a layer in which files are written under a temporary name first."""
    place = layer.node, layer.fingerprint
    folders = (layout.layer, layout.commits, layout.index, layout.withdrawals, layout.leases, layout.failures)
    return [folder(*place) for folder in folders]


def _leftovers(store: Store, folder: str, now: float) -> Iterator[Garbage]:
    for name in store.files.leftovers(folder):
        path = f"{folder}/{name}".lstrip("/")
        size = sum(store.files.sizes(path).values())
        yield Garbage(path, size, now - store.files.newest(path), "temporary file of a process that was killed")


def _unfinished_checkpoints(layer: Layer, now: float) -> Iterator[Garbage]:
    """What a killed training had begun to write: the next one of the same training clears checkpoints away too."""
    files = layer.store.files
    if not files.is_local:
        return
    root, folder = Path(files.root), files.local(layout.checkpoints(layer.node, layer.fingerprint))
    beginnings = (layout.UNFINISHED_CHECKPOINT, layout.TEMPORARY, layout.UNFINISHED_LOG)
    for path in sorted(path for beginning in beginnings for path in folder.glob(f"**/{beginning}*")):
        status = path.stat()
        yield Garbage(
            path.relative_to(root).as_posix(), status.st_size, now - status.st_mtime, "checkpoint that was not finished"
        )
