"""Tables on a terminal and on a pipe."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest

from cli.output import print_table

COLUMNS = ("node", "state", "units", "error rows", "also")
ROWS = [("grouping-ranking", "not started", 17, "", ""), ("crf", "done", 3, 2, "")]


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[int], list[str]]:
    """Prints ``ROWS`` on a terminal of a given width and returns the lines."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")

    def printed(width: int) -> list[str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
        print_table(COLUMNS, ROWS, spare=("error rows", "also"))
        return [line.rstrip() for line in re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()]

    return printed


def test_a_terminal_shows_no_empty_columns(on_terminal: Callable[[int], list[str]]) -> None:
    """Columns that may be left out are left out if all their cells are empty."""
    assert on_terminal(80)[0].split() == ["node", "state", "units", "error", "rows"]


def test_a_pipe_shows_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    """A script sees the same columns whatever the cells hold."""
    print_table(COLUMNS, ROWS, spare=("error rows", "also"))
    assert capsys.readouterr().out.splitlines()[0].split() == ["node", "state", "units", "error", "rows", "also"]


@pytest.mark.parametrize("width", [10, 37, 38, 39, 45, 61])
def test_no_width_breaks_a_heading(on_terminal: Callable[[int], list[str]], width: int) -> None:
    """Columns shrink as far as their words allow; below that, each row becomes lines ``heading  value``."""
    lines = on_terminal(width)
    is_table = "─" in "".join(lines)
    assert is_table == (width >= 38)
    if is_table:
        assert max(map(len, lines)) <= width
        head = " ".join(lines[: next(n for n, line in enumerate(lines) if "─" in line)]).split()
        assert sorted(head) == ["error", "node", "rows", "state", "units"]
    else:
        assert lines[:3] == ["node        grouping-ranking", "state       not started", "units       17"]
        assert lines[3:] == ["", "node        crf", "state       done", "units       3", "error rows  2"]


def test_numbers_are_aligned_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    """A column of numbers ends in one place, with four digits; text, truth values and mixtures begin in one place."""
    print_table(("n", "share", "flag", "mixed"), [(1, 0.123456, True, "a"), (1000, None, False, 2)])
    assert capsys.readouterr().out.splitlines() == [
        "   n    share   flag    mixed",
        "─────────────────────────────",
        "   1   0.1235   True    a",
        "1000            False   2",
    ]
