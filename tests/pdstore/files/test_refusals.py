"""Errors of file systems as errors that say what to do."""

from __future__ import annotations

import errno

import pytest

from pdstore.errors import StorageFailure
from pdstore.files.refusals import read_failure, refusals


@pytest.mark.parametrize("is_writing", [False, True])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "full"), "the disk is full"),
        (OSError(errno.EDQUOT, "quota"), "the disk is full"),
        (PermissionError(errno.EACCES, "no"), "permission to read and write is missing"),
        (OSError(errno.EROFS, "read-only"), "the file system is read-only"),
    ],
)
def test_what_a_person_has_to_mend_is_a_storage_failure(error: OSError, words: str, is_writing: bool) -> None:
    """It names the file, whether it was to be read or written."""
    with pytest.raises(StorageFailure, match=f"/store/x: {words}"), refusals("/store/x", is_writing=is_writing):
        raise error


def test_another_error_is_final_for_a_write_and_can_be_retried_for_a_read() -> None:
    """A write that fails names the storage; a read passes the error on."""
    with pytest.raises(StorageFailure, match="cannot be written to"), refusals("/x", is_writing=True):
        raise OSError(errno.EIO, "broken")
    with pytest.raises(OSError, match="broken"), refusals("/x"):
        raise OSError(errno.EIO, "broken")


@pytest.mark.parametrize("error", [FileNotFoundError("/x"), FileExistsError("/x"), ValueError("a bug")])
def test_answers_and_bugs_are_passed_on(error: Exception) -> None:
    """A file that is not there, or there already, is an answer; any error of another kind is the program's own."""
    with pytest.raises(type(error)), refusals("/x", is_writing=True):
        raise error


def test_a_read_that_nobody_tries_again_is_a_storage_failure() -> None:
    """It names the file and the reason, each once, and what to look for."""
    text = str(read_failure(OSError(errno.EIO, "Input/output error", "/store/x")))
    assert text.startswith("/store/x: the storage cannot be read: Input/output error. Look whether")
    assert text.count("/store/x") == 1 and str(read_failure(OSError(errno.EIO, "broken"))).startswith("the storage")
