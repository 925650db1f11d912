"""Text files that users write, read the same way whatever machine and editor they come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pdstore.errors import UsageError

__all__ = ["read_lines", "read_text"]


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, line) one by one; the mark that some editors put before UTF-8 is no part of the first.

    Raises:
        UsageError: the file is in another encoding.
    """
    with path.open("rb") as file:
        for number, data in enumerate(file, 1):
            try:
                line = data.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                found = f"byte 0x{error.object[error.start]:02x}"
                raise UsageError("text in UTF-8", found, f"{path}, line {number}", "Save the file as UTF-8") from None
            yield number, line.rstrip("\r\n")


def read_text(path: Path) -> str:
    """The whole text. Raises UsageError if it is in another encoding."""
    return "\n".join(line for _, line in read_lines(path))
