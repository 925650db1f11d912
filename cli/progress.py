"""Progress on stderr: a bar on a terminal, a line every ten seconds elsewhere, both with the rate and the time left."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from cli.output import say, seconds_text
from pdstore.errors import printable
from stages.plan.pipeline import Pipeline
from stages.run.progress import Progress

__all__ = ["REPORTS", "WORKER", "Bar", "Lines", "Report", "Reports", "Tally", "progress_for"]

WORKER = "PD_WORKER"
"""Environment variable that holds the name of a launched worker. Each of its lines begins with that name."""

REPORTS = "PD_REPORTS"
"""Environment variable that is set if the launcher draws a table: then a worker prints reports for it, not lines."""

EVERY_S = 10.0
REPORT_S = 0.5
_MARK = "\x1e"


def progress_for(pipeline: Pipeline) -> Progress:
    """A bar if stderr is a terminal that no other worker writes to, otherwise lines."""
    nodes = pipeline.nodes.values()
    steps = {n.name: int(getattr(n.settings, "steps", 0)) for n in nodes if n.stage.is_training}
    worker = os.environ.get(WORKER, "")
    if os.environ.get(REPORTS):
        return Reports(steps, worker)
    return Lines(steps, worker) if worker or not sys.stderr.isatty() else Bar(steps)


@dataclass
class Tally:
    """How far a node has come, in training steps, in images, or, where neither is known, in units.

    Attributes:
        steps: steps of the training; 0 for every other node.
        units: units of the node.
        units_done: units that are committed, by this process or another.
        size: mean number of images per unit.
        advanced: images or steps that this process has done.
        begun: steps that an earlier run of the training has done.
        kept: of ``advanced``, those of the units before the present one.
        failed: units that failed.
        started: time of the monotonic clock at which counting began.
    """

    steps: int = 0
    units: int = 0
    units_done: int = 0
    size: float = 1
    advanced: int = 0
    begun: int = 0
    kept: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def noun(self) -> str:
        return "steps" if self.steps else "images" if self.size > 1 else "units"

    @property
    def total(self) -> int:
        return self.steps or round(self.units * self.size)

    @property
    def done(self) -> int:
        """How many are done: at most ``total``, since a block may be shorter than others, and less if a unit failed."""
        counted = round(self.units_done * self.size) if not self.steps else 0
        if self.noun != "units":
            counted = max(counted, self.begun + self.advanced)
        if self.failed and counted >= self.total:
            return 0 if self.steps else round((self.units - self.failed) * self.size)
        return min(self.total, counted)

    @property
    def rate(self) -> float:
        """How many per second, since the start."""
        counted = self.advanced if self.noun != "units" else self.done
        return counted / max(time.monotonic() - self.started, 1e-3)

    def start_unit(self) -> None:
        self.kept = self.advanced

    def resume(self, steps: int) -> None:
        self.begun, self.advanced, self.kept = steps, 0, 0

    def fail(self, is_last: bool) -> None:
        """Forget what the present unit has advanced."""
        self.advanced, self.failed = self.kept, self.failed + is_last

    def text(self) -> str:
        """``384/1080 images, 42.1/s, 16.5 s left``; without a rate if other workers did everything."""
        parts = [f"{self.done}/{self.total} {self.noun}"]
        if self.rate:
            parts.append(f"{self.rate:.3g}/s")
            if self.done < self.total:
                parts.append(f"{seconds_text((self.total - self.done) / self.rate)} left")
        return ", ".join(parts)

    def last_text(self) -> str:
        """``1080/1080 images in 25.6 s, 42.1/s``."""
        took = seconds_text(time.monotonic() - self.started)
        rate = f", {self.rate:.3g}/s" if self.rate and self.done > 1 else ""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done}/{self.total} {self.noun} in {took}{rate}{failed}"


class _Counted:
    """Counts what a run reports, and calls :meth:`_show` whenever something has changed.

    Args:
        steps: training node -> its number of steps.
    """

    def __init__(self, steps: Mapping[str, int]) -> None:
        self._steps, self._lock = steps, threading.Lock()
        self._node, self._unit, self._tally = "", -1, Tally()

    def unit_started(self, unit: int) -> None:
        with self._lock:
            self._unit = unit
            self._tally.start_unit()

    def resumed(self, steps: int) -> None:
        with self._lock:
            self._tally.resume(steps)
            self._show()

    def attempt_failed(self, unit: int, is_last: bool) -> None:
        with self._lock:
            self._tally.fail(is_last)
            self._show()

    def advance(self, images: int) -> None:
        with self._lock:
            self._tally.advanced += images
            self._show()

    def unit_done(self, unit: int) -> None:
        with self._lock:
            self._tally.units_done += 1
            self._show()

    def _show(self) -> None:
        raise NotImplementedError


class Lines(_Counted):
    """Prints a line on stderr every ten seconds and one at the end, for logs.

    Args:
        steps: training node -> its number of steps.
        worker: name that each line begins with; no name if empty.
        every_s: seconds between two lines.
    """

    def __init__(self, steps: Mapping[str, int], worker: str = "", every_s: float = EVERY_S) -> None:
        super().__init__(steps)
        self._every_s, self._last = every_s, time.monotonic()
        self._prefix = f"[{worker}] " if worker else ""

    def start(self, node: str, units: int, done: int, images_per_unit: float) -> None:
        self._node, self._last = node, time.monotonic()
        self._tally = Tally(self._steps.get(node, 0), units, done, images_per_unit)

    def note(self, text: str) -> None:
        say(f"{self._prefix}{text}")

    def finish(self) -> None:
        self.note(f"{self._node}: {self._tally.last_text()}")

    def _show(self) -> None:
        if time.monotonic() - self._last >= self._every_s:
            self._last = time.monotonic()
            self.note(f"{self._node}: {self._tally.text()}")


@dataclass(frozen=True)
class Report:
    """What a worker does, as its launcher shows it in a table.

    Attributes:
        unit: the unit that it computes. done: such as ``384/1080 images``. rate: such as ``42.1/s``.
    """

    node: str = ""
    unit: int | None = None
    done: str = ""
    rate: str = ""

    def line(self) -> str:
        return _MARK + json.dumps(asdict(self))

    @staticmethod
    def parse(line: str) -> Report | None:
        """The report that a line of stderr holds; None if it is a line for people."""
        try:
            return Report(**json.loads(line[1:])) if line.startswith(_MARK) else None
        except (ValueError, TypeError):
            return None


class Reports(Lines):
    """Prints reports for the launcher's table, at most one every half second, and notes as lines."""

    def __init__(self, steps: Mapping[str, int], worker: str = "", every_s: float = REPORT_S) -> None:
        super().__init__(steps, worker, every_s)

    def _show(self) -> None:
        if time.monotonic() - self._last >= self._every_s:
            self._last = time.monotonic()
            tally = self._tally
            unit = self._unit if self._unit >= 0 else None
            rate = f"{tally.rate:.3g}/s" if tally.rate else ""
            report = Report(self._node, unit, f"{tally.done}/{tally.total} {tally.noun}", rate)
            print(report.line(), file=sys.stderr, flush=True)


class Bar(_Counted):
    """Draws a bar on a terminal, and replaces it with one line when the node is finished.

    Args:
        steps: training node -> its number of steps.
    """

    def __init__(self, steps: Mapping[str, int]) -> None:
        super().__init__(steps)
        self._console = Console(stderr=True)

    def start(self, node: str, units: int, done: int, images_per_unit: float) -> None:
        self._node, self._tally = node, Tally(self._steps.get(node, 0), units, done, images_per_unit)
        columns = (TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.fields[state]}"))
        self._bars = Bars(*columns, console=self._console, transient=True)
        self._task = self._bars.add_task(node, total=self._tally.total, state="starting")
        self._bars.start()

    def note(self, text: str) -> None:
        self._console.print(printable(text), highlight=False, markup=False)

    def finish(self) -> None:
        self._bars.stop()
        self.note(f"{self._node}: {self._tally.last_text()}")

    def _show(self) -> None:
        self._bars.update(self._task, completed=self._tally.done, state=self._tally.text())
