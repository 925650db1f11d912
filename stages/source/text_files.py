"""Reads text files written by users, in the same way whatever machine and editor they come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pdstore.errors import UsageError

__all__ = ["read_lines", "read_text"]


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, line), one at a time, without the byte order mark that some editors put first.

    Raises:
        UsageError: if the file cannot be read, or is not in UTF-8.
    """
    try:
        opened = path.open("rb")
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", str(path)) from error
    with opened as file:
        for number, data in enumerate(file, 1):
            try:
                line = data.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise _not_utf8(path, number, error.object[error.start]) from None
            if "\0" in line:
                # UTF-16 without its mark passes for UTF-8 with a zero next to each letter.
                raise _not_utf8(path, number, 0)
            yield number, line.rstrip("\r\n")


def read_text(path: Path) -> str:
    """The whole text. Raises UsageError like :func:`read_lines`."""
    return "\n".join(line for _, line in read_lines(path))


def _not_utf8(path: Path, number: int, byte: int) -> UsageError:
    return UsageError(
        f"expected text in UTF-8, found byte 0x{byte:02x}", f"{path}, line {number}", "Save the file as UTF-8"
    )
