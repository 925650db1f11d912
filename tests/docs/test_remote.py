"""docs/remote.md: its commands are commands, and its variables and messages are those of the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cli.main import VERBS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "remote.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for body in BLOCKS for line in body.splitlines()]
SOURCE = "".join(path.read_text() for path in (ROOT / "pdstore" / "files").glob("*.py"))


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one(line: str) -> None:
    """Each is of ``pd``, with a verb that exists, or installs the extra that exists."""
    words = shlex.split(line)
    if words[0] == "pip":
        assert re.search(r"^s3 = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE) and "[s3]" in words[-1]
    else:
        assert words[0] == "pd" and set(words) & VERBS.keys()


def test_its_variables_are_read() -> None:
    """Those of this program, by this program."""
    names = set(re.findall(r"`(PD_[A-Z_]+)", PAGE))
    assert len(names) == 2 and all(f'"{name}"' in SOURCE for name in names)


def test_its_messages_are_those_of_the_program() -> None:
    """Each row of the last table begins with words that an error has."""
    rows = re.findall(r"^\| ((?:there|the) [^|]+?) \|", PAGE.partition("| message |")[2], re.MULTILINE)
    assert len(rows) == 6
    for row in rows:
        assert row.partition("…")[0].strip() in SOURCE, row


def test_the_program_that_counts_is_there() -> None:
    """The numbers name the command that printed them."""
    assert "python -m bench.requests" in PAGE and (ROOT / "bench" / "requests.py").exists()
