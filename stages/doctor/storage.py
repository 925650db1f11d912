"""The storage of a store: what it can do, and whether what the pipeline will still write fits on it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pdstore import Store
from pdstore.errors import PdError
from pdstore.files.probes import probe_storage
from stages.doctor.finding import Finding, gigabytes
from stages.plan.cost import NodeCost
from stages.plan.project import Project
from stages.plan.states import NodeState

__all__ = ["room_findings", "storage_findings"]

GROUP = "storage"
MARGIN = 1.1
"""What will be written is an estimate: with less than a tenth more than that, there is a warning."""
LEAST_FREE = 1 << 30


def storage_findings(store: Store) -> Iterator[Finding]:
    """Each property that commits rely on, tried out in a temporary folder inside the store."""
    kind = f", {_file_system(Path(store.files.root))}" if store.files.is_local else ""
    yield Finding(GROUP, "store", f"{store.url}{kind}")
    for probe in probe_storage(store.files):
        if probe.is_sound:
            yield Finding(GROUP, probe.property, probe.found)
        else:
            fix = probe.fix or "Keep the store on another file system, or in an object store with conditional writes"
            yield Finding(GROUP, probe.property, probe.found, "fails" if probe.is_needed else "warning", fix)


def room_findings(project: Project, states: Sequence[NodeState], costs: Sequence[NodeCost]) -> Iterator[Finding]:
    """Bytes and files that are free, against what the nodes will still write by the rates of ``costs``."""
    if not project.store.files.is_local:
        return
    usage = os.statvfs(project.store.files.root)
    free = usage.f_bavail * usage.f_frsize
    needed = 1e9 * sum(cost.left.gigabytes or 0.0 for cost in costs)
    unknown = [cost.node for cost in costs if cost.left.gigabytes is None]
    found = f"{gigabytes(free)} free, and {gigabytes(needed)} to write"
    if unknown:
        found += f", without {', '.join(unknown)} (not measured yet)"
    fix = "Free some space, or move the store: docs/operations.md"
    if needed > free:
        yield Finding(GROUP, "space", found, "fails", fix)
    elif MARGIN * needed > free or free < LEAST_FREE:
        yield Finding(GROUP, "space", found, "warning", fix)
    else:
        yield Finding(GROUP, "space", found)
    yield from _file_count(project, states, usage)


def _file_count(project: Project, states: Sequence[NodeState], usage: os.statvfs_result) -> Iterator[Finding]:
    """Files, on file systems that hold a fixed number of them."""
    if not usage.f_files:
        return
    needed = sum(len(state.missing) * _files_per_unit(project, state) for state in states)
    found = f"{usage.f_favail} may be made, and at least {needed} are to be written"
    fix = "A file system holds a fixed number of files (df -i): make room, or use one with more"
    yield Finding(GROUP, "files", found, "fails" if needed > usage.f_favail else "ok", fix * (needed > usage.f_favail))


def _files_per_unit(project: Project, state: NodeState) -> int:
    """Files of a committed unit, with its manifest, its folders and its lease; 4 if none is committed."""
    if not state.done:
        return 4
    try:
        files = project.layer(state.node).manifest(state.done[0]).files
    except PdError:
        return 4
    folders = {name.rpartition("/")[0] for name in files}
    return len(files) + len(folders) + 2


def _file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of file system that a path is on, such as ``ext4``; "unknown file system" where it cannot be told."""
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return "unknown file system"
    real = str(path.resolve())
    found = [(len(where), kind) for _, where, kind, *_ in lines if f"{real}/".startswith(f"{where.rstrip('/')}/")]
    return max(found, default=(0, "unknown file system"))[1]
