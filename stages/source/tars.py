"""Images inside tar files, read by offset: nothing is unpacked.

A tar file is read like a folder of its name, and so is a tar file in a tar file: ``n01440764.tar`` in
``ILSVRC2012_img_train.tar`` holds ``n01440764/n01440764_36.JPEG``. Where each image lies is found once, when the images
are listed, and kept in the store.
"""

from __future__ import annotations

import io
import os
import tarfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow as pa

from pdstore import Store, layout
from pdstore.blockfile import parquet_bytes, parquet_table
from pdstore.errors import CorruptData, StorageFailure, UsageError
from pdstore.files import Files
from pdstore.records import read_checked, write_with_digest
from stages.source.key_paths import leads_out

__all__ = ["Member", "TarFiles", "is_tar", "list_members", "open_images", "write_members"]

_SCHEMA = pa.schema(
    [("key", pa.string()), ("tar", pa.string()), *((name, pa.int64()) for name in ("tar_bytes", "offset", "size"))]
)


class Member(NamedTuple):
    """A file in a tar file.

    Attributes:
        key: its path as if every tar file were a folder.
        tar: path of the outermost tar file under the root; "" is the root itself.
        tar_bytes: size of that file, by which a changed one is noticed.
        offset: position of the first byte in the outermost tar file.
        size: number of bytes; -1 for a link.
    """

    key: str
    tar: str
    tar_bytes: int
    offset: int
    size: int


def is_tar(name: str) -> bool:
    """Whether a name is that of a tar file that can be read by offset, which a compressed one cannot."""
    return name.lower().endswith(".tar")


def list_members(path: Path, tar: str) -> Iterator[Member]:
    """All files in a tar file and in the tar files in it, in their order. Cost: one seek per file.

    Args:
        tar: path of the file under the root.

    Raises:
        CorruptData: it is not a tar file, or not all of it is there.
        UsageError: the path of a member leaves the tar file.
        StorageFailure: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            yield from _members(_Part(file, 0, size), Member(tar[: -len(".tar")] if tar else "", tar, size, 0, size))
    except tarfile.TarError as error:
        fix = "Fetch it again; a compressed tar file has to be decompressed first"
        raise CorruptData(f"the tar file is not whole: {error!s}", str(path), fix) from None
    except OSError as error:
        raise StorageFailure(f"the tar file cannot be read: {error.strerror!s}", str(path)) from error


def _members(part: _Part, inside: Member) -> Iterator[Member]:
    with tarfile.open(fileobj=part, mode="r:") as archive:
        while (entry := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # they could be millions
            path = PurePosixPath(entry.name)
            key = f"{inside.key}/{path.as_posix()}" if inside.key else path.as_posix()
            if leads_out(path.as_posix()):
                raise UsageError(f"{entry.name} leads out of the tar file", inside.tar, "Unpack the tar file")
            is_link = entry.issym() or entry.islnk()
            if not entry.isreg() and not is_link:
                continue
            size = -1 if is_link else entry.size
            member = inside._replace(key=key, offset=inside.offset + entry.offset_data, size=size)
            if not is_link and is_tar(path.name) and not path.name.startswith("."):
                folder = member._replace(key=key[: -len(".tar")])
                yield from _members(_Part(part.file, member.offset, member.size), folder)
            else:
                yield member
        # tarfile takes a file that breaks off between two members for a whole one; those end with zeros.
        part.seek(archive.offset)
        if part.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it breaks off")


class _Part(io.RawIOBase):
    """Bytes ``start`` to ``start + size`` of a file, as a file."""

    def __init__(self, file: io.BufferedReader, start: int, size: int) -> None:
        self.file, self._start, self._size, self._position = file, start, size, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        self.file.seek(self._start + self._position)
        data = self.file.read(left if size < 0 else min(size, left))
        self._position += len(data)
        return data


def write_members(store: Store, members: Iterable[Member]) -> None:
    """Keep in the store where the images lie. Of members with one key, the last counts, as in tar."""
    last = {member.key: member for member in members}
    if last:
        rows = [member._asdict() for _, member in sorted(last.items())]
        write_with_digest(store.files, layout.TARS, parquet_bytes(pa.Table.from_pylist(rows, schema=_SCHEMA)))


def open_images(store: Store, root: str) -> Files:
    """The image files of a store, in tar files or not. Raises CorruptData if it cannot be read where they lie."""
    try:
        data = read_checked(store.files, layout.TARS)
    except FileNotFoundError:
        return Files(root)
    try:
        return TarFiles(root, parquet_table(data))
    except (pa.ArrowException, ValueError, KeyError) as error:
        fix = "Restore the file from a copy"
        raise CorruptData(f"it cannot be read ({error!s})", store.files.full(layout.TARS), fix) from None


class TarFiles(Files):
    """Files under a root, some of them in tar files: what :func:`write_members` kept. Reading is thread-safe."""

    def __init__(self, root: str, members: pa.Table) -> None:
        super().__init__(root)
        self._keys = members.column("key").combine_chunks()
        self._members = members

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError if there is no such image, StorageFailure if its tar file has changed."""
        row = bisect_left(_Texts(self._keys), path)
        if row == len(self._keys) or self._keys[row].as_py() != path:
            return super().read(path)
        member = Member(**self._members.slice(row, 1).to_pylist()[0])
        tar = Path(self.full(member.tar))
        with tar.open("rb") as file:
            found = os.fstat(file.fileno()).st_size
            if found != member.tar_bytes:
                problem = f"the tar file has changed: it had {member.tar_bytes} bytes and has {found}"
                raise StorageFailure(problem, str(tar), "Bring the file back, or make a new store")
            return os.pread(file.fileno(), member.size, member.offset)


class _Texts:
    """A column of text as a sequence, for a binary search without a copy of its millions of values."""

    def __init__(self, column: pa.StringArray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, row: int) -> str:
        return str(self._column[row].as_py())
