"""Digests of files that cannot carry one themselves, such as Parquet: a sealed record beside the file.

``classes.parquet`` has ``classes.parquet.digest``, with the sha256 of each piece of 64 KiB. So a reader that needs a
few rows of a listing of millions checks the pieces that it reads, and no others. A file without such a record was
written by an earlier release, and is read as it is; ``pd verify`` says so.

The record is written after its file and removed before it, and the folder is synced in between. A process that is
killed there, or a power cut, leaves a file that is not covered, and never a record of other content.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pdstore import layout
from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.files.local import sync_folder
from pdstore.records.sealed import seal, unseal

__all__ = [
    "PIECE",
    "FileDigest",
    "digest_of",
    "keep_digest",
    "open_checked",
    "place_file",
    "read_checked",
    "remove_digest",
    "remove_with_digest",
    "write_with_digest",
]

PIECE = 1 << 16
"""Bytes of a piece."""
RESTORE = "Restore the file from a copy"


@dataclass(frozen=True)
class FileDigest:
    """What a file held when it was written: its size in bytes, and the sha256 of each piece of ``piece`` bytes.

    Attributes:
        file: its name, without its folder.
    """

    file: str
    size: int
    piece: int
    sha256: tuple[str, ...]

    @classmethod
    def of(cls, path: str, file: IO[bytes]) -> FileDigest:
        """The digest of what is left to read of ``file``. Memory: one piece."""
        pieces, size = list[str](), 0
        while data := file.read(PIECE):
            pieces.append(_sha256(data))
            size += len(data)
        return cls(_name(path), size, PIECE, tuple(pieces))

    @classmethod
    def parse(cls, data: bytes, path: str) -> FileDigest:
        """The digest of the file ``path``. Raises ValueError, KeyError or TypeError if it is not."""
        values = unseal(data)
        if values["file"] != _name(path):
            raise ValueError(f"it is that of {values['file']}")
        found = cls(_name(path), int(values["size"]), int(values["piece"]), tuple(map(str, values["sha256"])))
        if found.piece < 1 or len(found.sha256) != -(-found.size // found.piece):
            raise ValueError("it has not one digest for each piece")
        return found

    def problem(self, number: int, piece: bytes) -> str:
        """How piece ``number`` differs from what was written; empty if it does not."""
        expected = min(self.piece, self.size - number * self.piece)
        if len(piece) != expected:
            return f"it ends after {number * self.piece + len(piece)} of {self.size} bytes"
        return "" if _sha256(piece) == self.sha256[number] else "content differs from what was written (sha256)"

    def problem_of(self, file: IO[bytes], *, is_growing: bool = False) -> str:
        """The same for a whole file. Memory: one piece.

        Args:
            is_growing: the file may have got longer since.
        """
        read = 0
        for number in range(len(self.sha256)):
            data = file.read(min(self.piece, self.size - read))
            if problem := self.problem(number, data):
                return problem
            read += len(data)
        return "" if is_growing or not file.read(1) else f"more than {self.size} bytes"


def keep_digest(files: Files, path: str, file: IO[bytes]) -> None:
    """Write the digest of a file from its content. Its name and content were just written, and are on the disk."""
    files.write(layout.digest(path), seal(vars(FileDigest.of(path, file))))


def write_with_digest(files: Files, path: str, data: bytes) -> None:
    """Write or replace a file, and the digest of what it holds."""
    remove_digest(files, path)
    files.write(path, data)
    keep_digest(files, path, io.BytesIO(data))


def digest_of(files: Files, path: str) -> FileDigest | None:
    """The digest of a file; None if an earlier release wrote the file.

    Raises:
        CorruptData: the record of the digest is damaged.
    """
    kept = layout.digest(path)
    try:
        return FileDigest.parse(files.read(kept), path)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = f"the record of the digest of a file is damaged ({error!s})"
        raise CorruptData(
            problem, files.full(kept), "Restore it from a copy, or remove it, and check the file"
        ) from None


def read_checked(files: Files, path: str, fix: str = RESTORE, *, is_growing: bool = False) -> bytes:
    """The content of a file, compared with its digest if it has one.

    Args:
        fix: what the reader of the error can do.
        is_growing: the file may have got longer since its digest was written.

    Raises:
        FileNotFoundError: the file does not exist, and never did.
        CorruptData: it is not what was written, or it is gone.
    """
    kept = digest_of(files, path)
    try:
        data = files.read(path)
    except FileNotFoundError:
        if kept is None:
            raise
        raise _damaged(files, path, "the file is missing", fix) from None
    if kept is not None and (problem := kept.problem_of(io.BytesIO(data), is_growing=is_growing)):
        raise _damaged(files, path, problem, fix)
    return data


@contextlib.contextmanager
def open_checked(files: Files, path: str, kept: FileDigest | None, fix: str = RESTORE) -> Iterator[IO[bytes]]:
    """A file that can be sought in; each piece that is read is compared with its digest.

    Args:
        kept: what :func:`digest_of` gave; None opens the file as it is.

    Raises:
        FileNotFoundError: the file does not exist, and never did.
        CorruptData: while it is read, a piece is not what was written, or the file is gone.
    """
    if kept is None:
        with files.open(path) as plain:
            yield plain
        return
    yield io.BufferedReader(_Checked(files, path, kept, fix), kept.piece)


def remove_with_digest(files: Files, path: str) -> None:
    """Remove a file and its digest, if they exist."""
    remove_digest(files, path)
    files.remove(path)


def remove_digest(files: Files, path: str) -> None:
    """Remove the digest of a file, if there is one, before the file is replaced or removed."""
    if not files.is_local or files.exists(layout.digest(path)):
        files.remove(layout.digest(path))
        _sync(files, path)


def place_file(files: Files, written: Path, path: str) -> None:
    """Give a written and synced file in the same folder its name. It has no digest then. Only where files are local."""
    remove_digest(files, path)
    os.replace(written, files.full(path))
    _sync(files, path)


def _sync(files: Files, path: str) -> None:
    """Have the name of a file, or that it is gone, on the disk."""
    if files.is_local:
        sync_folder(os.path.dirname(files.full(path)))


class _Checked(io.RawIOBase):
    """The bytes of a file, in whole pieces. Keeps what was read last."""

    def __init__(self, files: Files, path: str, kept: FileDigest, fix: str) -> None:
        self._files, self._path, self._kept, self._fix = files, path, kept, fix
        self._position, self._start, self._data = 0, 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._kept.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        first, last = self._position, min(self._position + len(buffer), self._kept.size)
        if first >= last:
            return 0
        if not self._start <= first < last <= self._start + len(self._data):
            self._fetch(first, last)
        buffer[: last - first] = self._data[first - self._start : last - self._start]
        self._position = last
        return last - first

    def _fetch(self, first: int, last: int) -> None:
        """Read the pieces that hold the bytes from ``first`` to ``last``, in one range."""
        size = self._kept.piece
        numbers = range(first // size, (last - 1) // size + 1)
        start, stop = numbers[0] * size, min(numbers[-1] * size + size, self._kept.size)
        try:
            [data] = self._files.read_ranges([(self._path, start, stop)])
        except FileNotFoundError:
            raise _damaged(self._files, self._path, "the file is missing", self._fix) from None
        for number in numbers:
            if problem := self._kept.problem(number, data[number * size - start : (number + 1) * size - start]):
                raise _damaged(self._files, self._path, problem, self._fix)
        self._start, self._data = start, data


def _damaged(files: Files, path: str, problem: str, fix: str) -> CorruptData:
    return CorruptData(f"the file is not what was written: {problem}", files.full(path), fix)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
