"""What an object store is asked for: one request per object, and one per thousand names of a listing.

For S3 the requests are those that are needed and no others: s3fs asks for the size of an object before it reads it, and
lists the parent of a folder that is empty. Any other file system of fsspec is used as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdstore.errors import UsageError
from pdstore.files.remote_errors import check_url, code_of

__all__ = ["Objects", "Stamp", "open_url"]

KEYS_PER_PAGE = 1000
"""Keys that S3 lists in one request."""
KEYS_PER_DELETE = 1000
"""Keys that S3 deletes in one request."""
_STAMPS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "updated", "created", "mtime")
_BEHIND_THE_END = {"InvalidRange", "416"}
"""What S3 answers to a range that begins behind the end of an object."""
# With more, s3fs asks for the size of every object before it reads the object.
_OF_S3 = {"max_concurrency": 1}
_GONE = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True)
class Stamp:
    """What a listing says of an object: its size in bytes, and a text that changes with its content."""

    size: int
    mark: str


def open_url(url: str, options: Mapping[str, object]) -> tuple[Any, str]:
    """The file system of fsspec, and the root as it names it.

    Raises:
        UsageError: the protocol is unknown or its package is not installed.
    """
    import fsspec

    check_url(url)
    try:
        if url.startswith(("s3://", "s3a://")) and "::" not in url:
            from pdstore.files.patience import PatientS3

            own: dict[str, Any] = {**_OF_S3, **options}
            patient = PatientS3(**own)
            return patient, str(patient._strip_protocol(url))
        file_system, root = fsspec.core.url_to_fs(url, **options)
        return file_system, str(root)
    except (ImportError, ValueError) as error:
        fix = "For s3:// install: pip install 'pdstore[s3]'"
        raise UsageError(f"expected a local path or an fsspec URL: {error!s}", url, fix) from None


class Objects:
    """The objects of one file system of fsspec, by their full paths."""

    def __init__(self, fs: Any) -> None:
        self.fs = fs
        self._call: Callable[..., Any] | None = getattr(fs, "call_s3", None)

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError if there is no such object."""
        try:
            return bytes(self.fs.cat_file(path))
        except FileNotFoundError as error:
            raise FileNotFoundError(path) from error

    def read_many(self, paths: Sequence[str]) -> list[bytes]:
        """The content of each, in one gathered read."""
        none = [None] * len(paths)
        return [self.read(paths[0])] if len(paths) == 1 else self.read_ranges(paths, none, none)

    def read_ranges(
        self, paths: Sequence[str], starts: Sequence[int | None], stops: Sequence[int | None]
    ) -> list[bytes]:
        """The bytes of each object from its start to its stop, in one gathered read; none if it ends before."""
        found = self.fs.cat_ranges(list(paths), list(starts), list(stops), on_error="return")
        for path, data in zip(paths, found, strict=True):
            if isinstance(data, FileNotFoundError):
                raise FileNotFoundError(path) from data
            if isinstance(data, Exception) and code_of(data) not in _BEHIND_THE_END:
                raise data
        return [b"" if isinstance(data, Exception) else bytes(data) for data in found]

    def tail(self, path: str, length: int) -> tuple[int, bytes]:
        """The size of an object, and its last bytes."""
        if self._call is None:
            self.forget(path)
            size = int(self.fs.size(path))
            return size, bytes(self.fs.cat_file(path, start=max(0, size - length), end=size))
        from fsspec.asyn import sync

        found: tuple[int, bytes] = sync(self.fs.loop, self._tail, path, length)
        return found

    async def _tail(self, path: str, length: int) -> tuple[int, bytes]:
        bucket, key = self._parts(path)
        answer = await self.fs._call_s3("get_object", Bucket=bucket, Key=key, Range=f"bytes=-{length}")
        async with answer["Body"] as body:
            data = bytes(await body.read())
        ranged = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.get("ContentRange", ""))
        return int(ranged[1]) if ranged else len(data), data

    def exists(self, path: str) -> bool:
        """Whether there is such an object."""
        if self._call is None:
            self.forget(path)
            return bool(self.fs.exists(path))
        bucket, key = self._parts(path)
        try:
            self._call("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return False
        return True

    def children(self, folder: str) -> list[str]:
        """Names directly in a folder, unsorted; none if it does not exist."""
        if self._call is None:
            self.forget(folder)
            try:
                entries = self.fs.ls(folder, detail=False)
            except _GONE:
                return []
            # An object store lists a file as its own only child.
            return [entry.rstrip("/").rsplit("/", 1)[-1] for entry in entries if entry.rstrip("/") != folder]
        found: list[str] = []
        for page in self._pages(folder, Delimiter="/"):
            found += [entry["Key"] for entry in page.get("Contents", ()) if not entry["Key"].endswith("/")]
            found += [entry["Prefix"].rstrip("/") for entry in page.get("CommonPrefixes", ())]
        return [key.rsplit("/", 1)[-1] for key in found]

    def below(self, folder: str) -> dict[str, Stamp]:
        """Full path -> stamp of every object below a folder, sorted by path.

        A page of a listing is of the moment at which it was asked for; the pages are asked for one after the other.
        """
        if self._call is None:
            self.forget(folder)
            entries = self.fs.find(folder, detail=True).items()
        else:
            bucket = self._parts(folder)[0]
            pages = self._pages(folder)
            entries = [(f"{bucket}/{e['Key']}", e) for page in pages for e in page.get("Contents", ())]
        return {path: _stamp(entry) for path, entry in sorted(entries, key=lambda item: item[0])}

    def remove(self, paths: Sequence[str]) -> None:
        """Remove objects, if they exist."""
        if self._call is None:
            for path in paths:
                try:
                    self.fs.rm_file(path)
                except FileNotFoundError:
                    continue
            return
        for first in range(0, len(paths), KEYS_PER_DELETE):
            some = paths[first : first + KEYS_PER_DELETE]
            bucket = self._parts(some[0])[0]
            if len(some) == 1:
                self._call("delete_object", Bucket=bucket, Key=self._parts(some[0])[1])
            else:
                keys = [{"Key": self._parts(path)[1]} for path in some]
                self._call("delete_objects", Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        for path in paths:
            self.forget(path)

    def write(self, path: str, data: bytes) -> None:
        """Write or replace an object."""
        self.fs.pipe_file(path, data)

    def create(self, path: str, data: bytes) -> bool:
        """Write an object that does not exist yet. False if it exists; it then stays as it is."""
        try:
            self.fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        return True

    def forget(self, path: str) -> None:
        """Make the next look at ``path`` ask the storage: some file systems remember listings."""
        self.fs.invalidate_cache(self.fs._parent(path))
        self.fs.invalidate_cache(path)

    def _pages(self, folder: str, **more: str) -> Iterable[Mapping[str, Any]]:
        assert self._call is not None
        bucket, key = self._parts(folder)
        token: dict[str, str] = {}
        while True:
            prefix = f"{key}/" if key else ""
            page = self._call("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=KEYS_PER_PAGE, **more, **token)
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _parts(self, path: str) -> tuple[str, str]:
        bucket, key, _ = self.fs.split_path(path)
        return bucket, key


def _stamp(entry: Mapping[str, Any]) -> Stamp:
    mark = next((str(entry[name]) for name in _STAMPS if entry.get(name)), "")
    return Stamp(int(entry.get("size", entry.get("Size", 0)) or 0), mark)
