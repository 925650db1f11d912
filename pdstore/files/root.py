"""The files of a store at any fsspec URL: whole-file reads and writes, create-only writes, listings.

Local folders are written with fsync and names that nobody has, object stores with create-only puts. Paths are relative.
"""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from pdstore import layout
from pdstore.errors import StorageFailure, UsageError
from pdstore.files.links import create_file
from pdstore.files.local import (
    exists_local,
    read_local,
    read_range,
    replace_file,
    sizes_below,
    sync_folder,
    temporary_beside,
    write_all,
)
from pdstore.files.moment import RememberedObjects
from pdstore.files.objects import Stamp, open_url
from pdstore.files.refusals import refusals

__all__ = ["Files"]

_READ_AHEAD = 1 << 18


class Files:
    """A root folder on some file system.

    Args:
        url: a local path, ``s3://bucket/prefix``, ``memory://name``.
        options: passed on to fsspec (endpoint, credentials).

    Raises:
        UsageError: the protocol is unknown or its package is not installed.
    """

    def __init__(self, url: str, **options: object) -> None:
        self.url, self._options = url, options
        if "://" not in url and "::" not in url:
            # A path, as almost always: fsspec, which takes long to load, is not needed for it.
            self.is_local, self.root = True, os.path.abspath(os.path.expanduser(url))
            return
        protocols = self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,)
        self.is_local, root = "file" in protocols, self._opened[1]
        self.root = os.path.abspath(root) if self.is_local else root.rstrip("/")

    @property
    def fs(self) -> Any:
        """The file system of fsspec."""
        return self._opened[0]

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        return open_url(self.url, self._options)

    @cached_property
    def _objects(self) -> RememberedObjects:
        return RememberedObjects(self.fs)

    @property
    def is_asked_once(self) -> bool:
        """Whether a :meth:`moment` of an object store lasts."""
        return not self.is_local and self._objects.is_remembering

    def moment(self, trees: Sequence[str] = ()) -> AbstractContextManager[None]:
        """While a command only reads, ask an object store for everything once. ``trees`` are listed as a whole."""
        return contextlib.nullcontext() if self.is_local else self._objects.moment([self.full(tree) for tree in trees])

    def tree(self, folder: str) -> dict[str, Stamp]:
        """Path -> stamp of every file below ``folder``, sorted by path, of a store that is not local."""
        with self._storage(folder):
            found = self._objects.below(self.full(folder))
        return {path[len(self.root) + 1 :]: stamp for path, stamp in found.items()}

    def full(self, path: str) -> str:
        """The path in the form that the file system uses."""
        return f"{self.root}/{path}" if path else self.root

    def uri(self, path: str) -> str:
        """The path with its protocol, in the form that DuckDB reads."""
        return self.full(path) if self.is_local else str(self.fs.unstrip_protocol(self.full(path)))

    def local(self, path: str) -> Path:
        """The path on this machine.

        Raises:
            UsageError: the store is not a local folder.
        """
        if not self.is_local:
            raise UsageError("expected a local folder, found a URL", self.url, "Use a store on a local or shared disk")
        return Path(self.full(path))

    def exists(self, path: str) -> bool:
        with self._storage(path):
            return exists_local(self.full(path)) if self.is_local else self._objects.exists(self.full(path))

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError if the file does not exist."""
        with self._storage(path):
            try:
                return read_local(self.full(path)) if self.is_local else self._objects.read(self.full(path))
            except NotADirectoryError as error:
                raise FileNotFoundError(self.full(path)) from error

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """A file that can be sought in and fetches only what is read. Raises FileNotFoundError if it does not exist.

        ``fs.open`` is not used because in memory it hands every reader the same file, with one shared position.
        """
        if self.is_local:
            with self._storage(path), open(self.full(path), "rb") as local:
                yield local
            return
        from fsspec.spec import AbstractBufferedFile

        self._forget(path)
        with self._storage(path), AbstractBufferedFile(self.fs, self.full(path), block_size=_READ_AHEAD) as file:
            yield file

    def tail(self, path: str, length: int) -> tuple[int, bytes]:
        """The size of a file, and its last ``length`` bytes. Raises FileNotFoundError if it does not exist."""
        with self._storage(path):
            if self.is_local:
                with open(self.full(path), "rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    file.seek(max(0, size - length))
                    return size, file.read()
            return self._objects.tail(self.full(path), length)

    def read_many(self, paths: list[str]) -> dict[str, bytes]:
        """Path -> content, in one gathered read. Raises FileNotFoundError if a file does not exist."""
        if self.is_local:
            return {path: self.read(path) for path in paths}
        with self._storage(paths[0] if paths else ""):
            return dict(zip(paths, self._objects.read_many([*map(self.full, paths)]) if paths else [], strict=True))

    def read_ranges(self, ranges: Sequence[tuple[str, int, int | None]]) -> list[bytes]:
        """The bytes of each (path, start, stop or None), in one gathered read; fewer if the file ends before.

        Raises FileNotFoundError if a file does not exist.
        """
        if not ranges:
            return []
        paths, starts, stops = zip(*ranges, strict=True)
        with self._storage(paths[0]):
            if self.is_local:
                return [read_range(self.full(path), start, stop) for path, start, stop in ranges]
            return self._objects.read_ranges([*map(self.full, paths)], starts, stops)

    def write(self, path: str, data: bytes) -> None:
        """Write or replace, atomically."""
        with self._storage(path, is_writing=True):
            if not self.is_local:
                self._objects.write(self.full(path), data)
                return
            replace_file(self.full(path), data)
            sync_folder(os.path.dirname(self.full(path)))

    def write_many(self, files: Mapping[str, bytes]) -> None:
        """Write files that nobody reads until a later commit names them."""
        with self._storage(next(iter(files), ""), is_writing=True):
            full = {self.full(path): data for path, data in files.items()}
            if self.is_local:
                write_all(full)
            else:
                with ThreadPoolExecutor(8) as pool:
                    list(pool.map(lambda item: self._objects.write(*item), full.items()))

    def create(self, path: str, data: bytes) -> bool:
        """Write a file that does not exist yet. False if it exists; it then stays as it is."""
        with self._storage(path, is_writing=True):
            if self.is_local:
                return create_file(self.full(path), data)
            return self._objects.create(self.full(path), data)

    def create_own(self, path: str, data: bytes) -> bool:
        """The same for ``data`` that nobody else writes. An error counts only if the file is not there afterwards.

        A put that reported an error may still have arrived, and so may its retry: what is stored decides.
        """
        cause: Exception | None = None
        try:
            if self.create(path, data):
                return True
        except (OSError, StorageFailure) as error:
            cause = error
        try:
            is_ours = self.read(path) == data
        except FileNotFoundError:
            if cause is not None:
                raise cause from None
            return False
        if cause is not None and self.is_local:
            with self._storage(path, is_writing=True):
                sync_folder(os.path.dirname(self.full(path)))
        return is_ours

    @contextlib.contextmanager
    def writing(self, path: str) -> Iterator[IO[bytes]]:
        """A new file that is written piece by piece, too large for memory. If the block raises, it does not exist."""
        full = self.full(path)
        with self._storage(path, is_writing=True):
            temporary = temporary_beside(full) if self.is_local else full
            try:
                with self.fs.open(temporary, "wb") as file:
                    yield file
                    if self.is_local:
                        file.flush()
                        os.fsync(file.fileno())
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    self.fs.rm_file(temporary)
                raise
            if self.is_local:
                os.replace(temporary, full)
                sync_folder(os.path.dirname(full))

    def names(self, folder: str) -> list[str]:
        """Sorted names of the files and folders directly in ``folder``; empty if the folder does not exist.

        Names that begin with a dot are left out: temporary files, and what a desktop or NFS leaves behind.
        """
        listed = sorted(self.listed(folder))
        # They lie together, as the names are sorted: to look at every name takes longer than to list a large folder.
        first, last = bisect_left(listed, "."), bisect_left(listed, "/")
        return listed if first == last else [*listed[:first], *listed[last:]]

    def sizes(self, folder: str) -> dict[str, int]:
        """Path relative to the root -> size in bytes, for every file below ``folder``."""
        with self._storage(folder):
            if self.is_local:
                found = sizes_below(self.full(folder))
            else:
                self._forget(folder)
                details = self.fs.find(self.full(folder), detail=True)
                found = {name: int(info["size"]) for name, info in details.items()}
        return {name[len(self.root) + 1 :]: size for name, size in found.items()}

    def newest(self, folder: str) -> float:
        """When the newest file below ``folder``, or the folder itself if empty, was written, in seconds since 1970."""
        self._forget(folder)
        found = self.fs.find(self.full(folder), detail=True) or {self.full(folder): {}}
        # S3 lists the times with the files; other file systems are asked file by file.
        stamps = [info.get("LastModified") or self.fs.modified(path) for path, info in found.items()]
        return float(max(stamps).timestamp())

    def leftovers(self, folder: str) -> list[str]:
        """Names of the temporary files directly in ``folder`` that a killed process left in a local store."""
        return sorted(n for n in self.listed(folder) if n.startswith(layout.TEMPORARY)) if self.is_local else []

    def remove(self, path: str) -> None:
        """Remove a file, if it exists."""
        self.remove_many([path])

    def remove_many(self, paths: Sequence[str]) -> None:
        """Remove files, if they exist. In S3 that is one request per 1,000 of them."""
        with self._storage(paths[0] if paths else "", is_writing=True):
            if not self.is_local:
                self._objects.remove(list(map(self.full, paths)))
            for path in paths if self.is_local else ():
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.full(path))

    def remove_tree(self, folder: str) -> None:
        """Remove a folder and everything below it, if it exists."""
        with self._storage(folder, is_writing=True), contextlib.suppress(FileNotFoundError):
            self.fs.rm(self.full(folder), recursive=True)
            self._forget(folder)

    def listed(self, folder: str) -> list[str]:
        """What :meth:`names` gives, in any order and with names that begin with a dot: to put many into a set."""
        path = self.full(folder)
        try:
            with self._storage(folder):
                return os.listdir(path) if self.is_local else list(set(self._objects.children(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _forget(self, path: str) -> None:
        if not self.is_local:
            self._objects.forget(self.full(path))

    def _storage(self, path: str, *, is_writing: bool = False) -> AbstractContextManager[None]:
        return refusals(self.full(path) if self.is_local else self.uri(path), is_writing=is_writing)
