"""What a file system or an object store refuses, as an error that says what to do."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from pdstore.errors import StorageFailure
from pdstore.files.remote_errors import code_of, remote_failure

__all__ = ["refusals"]

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
        if is_writing:
            fix = "Run the same command again when the storage answers; what was committed is safe"
            raise StorageFailure(f"the storage cannot be written to: {error!s}", path, fix) from error
        raise error


def _is_remote(path: str) -> bool:
    return "://" in path and not path.startswith("memory://")
