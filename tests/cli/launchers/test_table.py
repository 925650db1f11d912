"""The live table of workers."""

from __future__ import annotations

import io
import re

from rich.console import Console

from cli.launchers.table import WorkerTable
from cli.progress import Report


def test_a_row_follows_its_worker() -> None:
    """The state comes from the process, the rest from the worker's reports; other lines are shown above."""
    screen = io.StringIO()
    table = WorkerTable(["1/3", "2/3", "3/3"], Console(file=screen, force_terminal=True, width=100))
    table.take("1/3", Report("crf", 7, "12/40 images", "3.1/s").line())
    table.take("2/3", "ingest: a line\x1b[2J")
    table.restarted("3/3")
    table.show({"1/3": None, "2/3": None, "3/3": -9}, is_stopping=False)
    table.show({"1/3": None, "2/3": 75, "3/3": 0}, is_stopping=True)
    table.close()
    lines = [line.split() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).splitlines()]
    assert ["1/3", "running", "crf", "7", "12/40", "images", "3.1/s"] in lines
    assert ["1/3", "stopping", "crf", "7", "12/40", "images", "3.1/s"] in lines
    assert ["3/3", "killed", "1"] in lines and ["2/3", "starting"] in lines and ["2/3", "stopped"] in lines
    assert "ingest: a line\\x1b[2J" in screen.getvalue()


def test_a_line_that_is_no_report() -> None:
    """Nonsense after the mark is a line like any other."""
    assert Report.parse("crf: 3/4 images") is None
    assert Report.parse("\x1e{") is None and Report.parse('\x1e{"x": 1}') is None
    assert Report.parse(Report("crf", None, "", "").line()) == Report("crf")
