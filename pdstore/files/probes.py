"""What a store needs of a file system or an object store, tried out in a temporary folder inside the store.

Each probe does what commits, readers and SQL do, by the same code, and the folder is removed afterwards.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pdstore import layout
from pdstore.errors import PdError
from pdstore.files.links import ways_to_create
from pdstore.files.root import Files

__all__ = ["CLOCK_S", "Probe", "probe_storage"]

CLOCK_S = 60.0
"""Seconds by which the clock of the storage may differ before it is mentioned."""
_FILES = 8


@dataclass(frozen=True)
class Probe:
    """One property of a storage.

    Attributes:
        property: what was tried.
        found: how it went; if ``problem`` is set, what is wrong.
        is_needed: without it no store can be kept there; otherwise pd works, with less comfort.
        fix: what to do about a problem; empty if the storage as a whole is the matter.
    """

    property: str
    found: str
    is_sound: bool = True
    is_needed: bool = True
    fix: str = ""


def probe_storage(files: Files) -> list[Probe]:
    """Try out the storage below the root of ``files``; the root is made if it is not there.

    If nothing can be written, there is one probe. Cost: about 40 small files are written and read.
    """
    folder = f"{layout.TEMPORARY}probe-{secrets.token_hex(6)}"
    try:
        written = _tried("files that are written and flushed", lambda: _write(files, folder))
        if not written.is_sound:
            return [written]
        return [written, *_others(files, folder)]
    finally:
        # What could not be removed is named by the probe of it.
        with contextlib.suppress(PdError, OSError):
            files.remove_tree(folder)


def _others(files: Files, folder: str) -> Iterator[Probe]:
    yield _tried("a name that only one writer gets", lambda: _create(files, folder))
    yield _tried("files that are replaced whole", lambda: _replace(files, folder))
    yield _tried("listings that show what was written", lambda: _list(files, folder))
    yield _tried("files that are removed", lambda: _remove(files, folder))
    if files.is_local:
        lock = _tried("locks, for the catalog of SQL", lambda: _lock(files, folder))
        fix = "pd sql works, but builds its catalog for each query"
        yield lock if lock.is_sound else Probe(lock.property, lock.found, False, False, fix)
    yield _clock(files, folder)


def _tried(name: str, probe: Callable[[], str]) -> Probe:
    """The probe, which returns what it found.

    Its errors are those of commits: StorageFailure, those of the file system, and ``_Broken``.
    """
    try:
        return Probe(name, probe())
    except PdError as error:
        return Probe(name, f"{error.where}: {error.problem}" if error.where else error.problem, False, fix=error.fix)
    except OSError as error:
        return Probe(name, str(error) or type(error).__name__, False)


class _Broken(PdError):
    """The storage took the request, and did something else."""


def _write(files: Files, folder: str) -> str:
    contents = {f"{folder}/write/{number}": bytes([number]) * 4096 for number in range(_FILES)}
    started = time.perf_counter()
    files.write_many(contents)
    seconds = time.perf_counter() - started
    if files.read_many(list(contents)) != contents:
        raise _Broken("files have another content than was written")
    return f"{1e3 * seconds / _FILES:.1f} ms per file"


def _create(files: Files, folder: str) -> str:
    path = f"{folder}/create/1"
    if not files.create(path, b"first"):
        raise _Broken("a file that nobody has written is said to be there")
    if files.create(path, b"second") or files.read(path) != b"first":
        fix = "Keep the store elsewhere: here two workers could both commit a unit"
        raise _Broken("the second writer of a name replaces the file of the first", fix=fix)
    return ways_to_create(files.full(f"{folder}/create"))[0] if files.is_local else "put if absent"


def _replace(files: Files, folder: str) -> str:
    path = f"{folder}/replace/1"
    for content in (b"long " * 100, b"short"):
        files.write(path, content)
    if files.read(path) != b"short":
        raise _Broken("a file that was replaced still has its former content")
    return "yes"


def _list(files: Files, folder: str) -> str:
    files.write(f"{folder}/list/a", b"1")
    first = files.names(f"{folder}/list")
    files.write(f"{folder}/list/b/c", b"1")
    second = files.names(f"{folder}/list")
    if (first, second) != (["a"], ["a", "b"]):
        raise _Broken(f"expected the names a, then a and b, found {first}, then {second}")
    return "at once"


def _remove(files: Files, folder: str) -> str:
    path = f"{folder}/remove/1"
    files.write(path, b"1")
    files.remove(path)
    if files.exists(path) or files.names(f"{folder}/remove"):
        raise _Broken("a file that was removed is still there")
    return "yes"


def _lock(files: Files, folder: str) -> str:
    # Imported here: nothing else of the engine's files needs DuckDB.
    import duckdb

    files.write(f"{folder}/lock/1", b"1")
    try:
        with contextlib.closing(duckdb.connect(files.full(f"{folder}/lock/catalog"))) as connection:
            connection.execute("CREATE TABLE probe AS SELECT 1 AS one")
            connection.execute("CHECKPOINT")
    except duckdb.Error as error:
        raise _Broken(" ".join(str(error).split())) from error
    return "yes"


def _clock(files: Files, folder: str) -> Probe:
    name = "clock of the storage"
    try:
        before = time.time()
        files.write(f"{folder}/clock/1", b"1")
        ahead = files.newest(f"{folder}/clock") - before
    except (PdError, OSError) as error:
        return Probe(name, str(error), False, False)
    if abs(ahead) < CLOCK_S:
        return Probe(name, "as here")
    found = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the clock here"
    fix = "Set the clocks by NTP. Leases need none, but ages in pd gc and times in tables are off by as much"
    return Probe(name, found, False, False, fix)
