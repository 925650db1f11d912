"""What a file system or an object store refuses, as an error that says what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from pdstore.errors import StorageFailure
from pdstore.files.remote_errors import code_of, remote_failure

__all__ = ["read_failure", "refusals"]

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextlib.contextmanager
def refusals(path: str, *, is_writing: bool = False) -> Iterator[None]:
    """Turn what a file system refuses into StorageFailure. A read that failed stays an OSError, to be retried.

    Args:
        path: the file that is read or written, as the error names it.
    """
    try:
        yield
    except (FileNotFoundError, FileExistsError) as error:
        if code_of(error) == "NoSuchBucket" and (failure := remote_failure(error, path)):
            raise failure from error
        raise
    except Exception as error:
        if isinstance(error, StorageFailure):
            raise
        if _is_remote(path) and (failure := remote_failure(error, path, is_writing=is_writing)):
            raise failure from error
        if not isinstance(error, OSError):
            # s3fs passes on connection errors as botocore raises them, and those are not OSErrors.
            if type(error).__module__.startswith(("botocore.", "aiobotocore.")):
                error = ConnectionError(str(error))
            else:
                raise
        if error.errno in _FULL:
            fix = "Free some space and run the same command again; what was committed is safe"
            raise StorageFailure("the disk is full: there is no space left", path, fix) from error
        if isinstance(error, PermissionError):
            fix = "Check the permissions of the folder"
            raise StorageFailure("permission to read and write is missing", path, fix) from error
        if error.errno == errno.EROFS:
            fix = "Mount it for writing, or use a copy of the store elsewhere"
            raise StorageFailure("the file system is read-only", path, fix) from error
        if is_writing:
            fix = "Run the same command again when the storage answers; what was committed is safe"
            raise StorageFailure(f"the storage cannot be written to: {_reason(error)}", path, fix) from error
        raise error


def read_failure(error: OSError) -> StorageFailure:
    """What a person is told of a read that failed, once nobody tries it again."""
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    fix = "Look whether the disk or the network is well, and run the same command again; what was committed is safe"
    return StorageFailure(f"the storage cannot be read: {_reason(error)}", where, fix)


def _reason(error: OSError) -> str:
    """The error without its number and its path, which is named anyway."""
    return error.strerror or str(error) or type(error).__name__


def _is_remote(path: str) -> bool:
    return "://" in path and not path.startswith("memory://")
