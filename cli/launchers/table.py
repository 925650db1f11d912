"""A live table of the workers of this machine: what each one does, how far it is, and how fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli.progress import Report
from pdstore.errors import Preempted, printable

__all__ = ["WorkerTable"]

COLUMNS = ("worker", "state", "node", "unit", "done", "rate", "restarts")


@dataclass
class _Row:
    report: Report | None = None
    restarts: int = 0
    state: str = "starting"


class WorkerTable:
    """One row per worker at the bottom of the terminal; lines that the workers print scroll above it.

    Args:
        names: of the workers.
        console: where it is drawn; by default stderr.
    """

    def __init__(self, names: Sequence[str], console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._rows = {name: _Row() for name in names}
        self._live = Live(self._drawn(), console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def take(self, name: str, line: str) -> None:
        """A line from a worker's stderr: a report changes its row, everything else is shown as it is."""
        report = Report.parse(line)
        if report is None:
            self.note(line)
        else:
            self._rows[name].report = report

    def note(self, line: str) -> None:
        """Show a line above the table."""
        self._console.print(printable(line), highlight=False, markup=False)

    def restarted(self, name: str) -> None:
        self._rows[name].restarts += 1
        self._rows[name].report = None

    def show(self, codes: Mapping[str, int | None], *, is_stopping: bool) -> None:
        """Draw the table.

        Args:
            codes: name -> exit code; None while the worker runs.
            is_stopping: the workers have been told to stop.
        """
        for name, code in codes.items():
            row = self._rows[name]
            row.state = _state(code, row.report is not None, is_stopping)
        self._live.update(self._drawn(), refresh=True)

    def close(self) -> None:
        """Remove the table."""
        self._live.stop()

    def _drawn(self) -> Table:
        table = Table(*COLUMNS, box=None, pad_edge=False)
        for name, row in self._rows.items():
            report = row.report or Report()
            unit = "" if report.unit is None else str(report.unit)
            restarts = str(row.restarts or "")
            table.add_row(name, row.state, report.node, unit, report.done, report.rate, restarts)
        return table


def _state(code: int | None, has_begun: bool, is_stopping: bool) -> str:
    if code is None:
        return "stopping" if is_stopping else "running" if has_begun else "starting"
    if code in (0, Preempted.exit_code):
        return "done" if code == 0 else "stopped"
    return "killed" if code < 0 else "failed"
