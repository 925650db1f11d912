"""The files of a store at any fsspec URL: whole-file reads and writes, create-only writes, listings.

Local folders are written with fsync and a step that names a file only if nobody has the name; object stores with a
create-only put. Paths are relative to the root.
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
        """The file system of fsspec, and the root as it names it."""
        import fsspec

        try:
            file_system, root = fsspec.core.url_to_fs(self.url, **self._options)
            return file_system, str(root)
        except (ImportError, ValueError) as error:
            fix = "For s3:// install: pip install 'pdstore[s3]'"
            raise UsageError(f"expected a local path or an fsspec URL: {error!s}", self.url, fix) from None

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
            if self.is_local:
                return exists_local(self.full(path))
            self._forget(path)
            return bool(self.fs.exists(self.full(path)))

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError if the file does not exist."""
        with self._storage(path):
            try:
                return read_local(self.full(path)) if self.is_local else bytes(self.fs.cat_file(self.full(path)))
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
            self._forget(path)
            size = int(self.fs.size(self.full(path)))
            return size, bytes(self.fs.cat_file(self.full(path), start=max(0, size - length), end=size))

    def read_many(self, paths: list[str]) -> dict[str, bytes]:
        """Path -> content, in one gathered read. Raises FileNotFoundError if a file does not exist."""
        if self.is_local:
            return {path: self.read(path) for path in paths}
        with self._storage(paths[0] if paths else ""):
            contents = self.fs.cat([self.full(p) for p in paths], on_error="raise") if paths else {}
        return {path: bytes(contents[self.fs._strip_protocol(self.full(path))]) for path in paths}

    def read_ranges(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """The bytes of each (path, start, stop), in one gathered read; fewer if the file ends before.

        Raises FileNotFoundError if a file does not exist.
        """
        if not ranges:
            return []
        paths, starts, stops = zip(*ranges, strict=True)
        with self._storage(paths[0]):
            if self.is_local:
                return [read_range(self.full(path), start, stop) for path, start, stop in ranges]
            full = [self.full(path) for path in paths]
            return [bytes(data) for data in self.fs.cat_ranges(full, list(starts), list(stops), on_error="raise")]

    def write(self, path: str, data: bytes) -> None:
        """Write or replace, atomically."""
        with self._storage(path, is_writing=True):
            if self.is_local:
                replace_file(self.full(path), data)
                sync_folder(os.path.dirname(self.full(path)))
            else:
                self.fs.pipe_file(self.full(path), data)

    def write_many(self, files: Mapping[str, bytes]) -> None:
        """Write files that nobody reads until a later commit names them."""
        with self._storage(next(iter(files), ""), is_writing=True):
            full = {self.full(path): data for path, data in files.items()}
            if self.is_local:
                write_all(full)
                return
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda item: self.fs.pipe_file(*item), full.items()))

    def create(self, path: str, data: bytes) -> bool:
        """Write a file that does not exist yet. False if it exists; it then stays as it is."""
        with self._storage(path, is_writing=True):
            if self.is_local:
                return create_file(self.full(path), data)
            try:
                self.fs.pipe_file(self.full(path), data, mode="create")
            except FileExistsError:
                return False
            return True

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
        details = self.fs.find(self.full(folder), detail=True) or {self.full(folder): {}}
        # S3 lists the times with the files; other file systems are asked file by file.
        stamps = [info.get("LastModified") or self.fs.modified(path) for path, info in details.items()]
        return float(max(stamps).timestamp())

    def leftovers(self, folder: str) -> list[str]:
        """Names of the temporary files directly in ``folder`` that a killed process left in a local store."""
        if not self.is_local:
            return []
        return sorted(name for name in self.listed(folder) if name.startswith(layout.TEMPORARY))

    def remove(self, path: str) -> None:
        """Remove a file, if it exists."""
        with self._storage(path, is_writing=True), contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self.full(path))

    def remove_tree(self, folder: str) -> None:
        """Remove a folder and everything below it, if it exists."""
        with self._storage(folder, is_writing=True), contextlib.suppress(FileNotFoundError):
            self.fs.rm(self.full(folder), recursive=True)

    def listed(self, folder: str) -> list[str]:
        """What :meth:`names` gives, in any order and with names that begin with a dot: to put many into a set."""
        path = self.full(folder)
        self._forget(folder)
        try:
            with self._storage(folder):
                if self.is_local:
                    return os.listdir(path)
                entries = self.fs.ls(path, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        # An object store lists a file as its own only child.
        return list({entry.rstrip("/").rsplit("/", 1)[-1] for entry in entries if entry.rstrip("/") != path})

    def _forget(self, path: str) -> None:
        """Make the next look at ``path`` ask the storage: some file systems remember listings."""
        if self.is_local:
            return
        self.fs.invalidate_cache(self.fs._parent(self.full(path)))
        self.fs.invalidate_cache(self.full(path))

    def _storage(self, path: str, *, is_writing: bool = False) -> AbstractContextManager[None]:
        return refusals(self.full(path), is_writing=is_writing)
