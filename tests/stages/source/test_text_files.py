from __future__ import annotations

from pathlib import Path

import pytest

from pdstore.errors import UsageError
from stages.source.text_files import read_lines, read_text

UMLAUTS = "Käfer\nx y\n\nÜ\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_read_as_they_were_written(encoding: str, end: str, tmp_path: Path) -> None:
    """They may begin with a byte order mark, and end as on Unix or on Windows."""
    path = tmp_path / "a.txt"
    path.write_bytes(UMLAUTS.replace("\n", end).encode(encoding))
    assert list(read_lines(path)) == [(1, "Käfer"), (2, "x y"), (3, ""), (4, "Ü")]
    assert read_text(path) == UMLAUTS.rstrip()


@pytest.mark.parametrize(("encoding", "line"), [("latin-1", 2), ("utf-16", 1), ("utf-16-le", 1)])
def test_another_encoding_is_refused(encoding: str, line: int, tmp_path: Path) -> None:
    """The error says where the file is not UTF-8, and what to do."""
    path = tmp_path / "a.txt"
    path.write_bytes(f"x\n{UMLAUTS}".encode(encoding))
    with pytest.raises(UsageError, match=rf"a.txt, line {line}: expected text in UTF-8, found byte 0x\w\w. Save the"):
        read_text(path)
