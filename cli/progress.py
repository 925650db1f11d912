"""Progress on stderr: a bar on a terminal, a line every ten seconds elsewhere; each with rate and time left."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from cli.output import seconds_text
from stages.pipeline import Node
from stages.progress import Progress

__all__ = ["WORKER", "Bar", "Lines", "Tally", "progress_of"]

WORKER = "PD_WORKER"
"""Environment variable with the name of a launched worker, which stands before each of its lines."""

EVERY_S = 10.0


def progress_of(node: Node) -> Progress:
    """A bar if stderr is a terminal that nobody else writes to, else lines."""
    steps = int(getattr(node.settings, "steps", 0)) if node.stage.is_training else 0
    worker = os.environ.get(WORKER, "")
    return Lines(steps, worker) if worker or not sys.stderr.isatty() else Bar(steps)


@dataclass
class Tally:
    """How far a node is: in images, in training steps, or, where neither is known, in units.

    Attributes:
        steps: of a training; 0 for every other node.
    """

    steps: int = 0
    units: int = 0
    units_done: int = 0
    size: int = 1
    advanced: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def noun(self) -> str:
        return "steps" if self.steps else "images" if self.size > 1 else "units"

    @property
    def total(self) -> int:
        return self.steps or self.units * self.size

    @property
    def done(self) -> int:
        """Never more than ``total``: a block may be shorter than the others, or be tried twice."""
        counted = self.units_done * self.size if not self.steps else 0
        if self.noun != "units":
            counted = max(counted, self.advanced)
        return min(self.total, counted)

    @property
    def rate(self) -> float:
        """A second, since the start."""
        counted = self.advanced if self.noun != "units" else self.done
        return counted / max(time.monotonic() - self.started, 1e-3)

    def text(self) -> str:
        """``384/1080 images, 42.1/s, 16.5 s left``."""
        parts = [f"{self.done}/{self.total} {self.noun}"]
        if self.rate > 0 and self.advanced + self.units_done:
            parts.append(f"{self.rate:.3g}/s")
        if self.rate > 0 and self.done < self.total:
            parts.append(f"{seconds_text((self.total - self.done) / self.rate)} left")
        return ", ".join(parts)


class Lines:
    """A line on stderr every ten seconds, for logs."""

    def __init__(self, steps: int = 0, worker: str = "", every_s: float = EVERY_S) -> None:
        self._tally, self._every_s, self._lock = Tally(steps), every_s, threading.Lock()
        self._prefix = f"[{worker}] " if worker else ""
        self._node, self._last = "", time.monotonic()

    def start(self, node: str, units: int, done: int, images_a_unit: int) -> None:
        self._node, self._last = node, time.monotonic()
        self._tally = Tally(self._tally.steps, units, done, images_a_unit)

    def advance(self, images: int) -> None:
        with self._lock:
            self._tally.advanced += images
            self._tick()

    def unit_done(self, unit: int) -> None:
        with self._lock:
            self._tally.units_done += 1
            self._tick()

    def note(self, text: str) -> None:
        self._print(text)

    def finish(self) -> None: ...

    def _tick(self) -> None:
        if time.monotonic() - self._last >= self._every_s:
            self._last = time.monotonic()
            self._print(f"{self._node}: {self._tally.text()}")

    def _print(self, text: str) -> None:
        print(f"{self._prefix}{text}", file=sys.stderr, flush=True)


class Bar:
    """One bar on a terminal; it is gone when the node is finished."""

    def __init__(self, steps: int = 0) -> None:
        self._tally, self._lock = Tally(steps), threading.Lock()
        columns = (TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.fields[state]}"))
        self._bars = Bars(*columns, console=Console(stderr=True), transient=True)

    def start(self, node: str, units: int, done: int, images_a_unit: int) -> None:
        self._tally = Tally(self._tally.steps, units, done, images_a_unit)
        self._task = self._bars.add_task(node, total=self._tally.total, state="starting")
        self._bars.start()

    def advance(self, images: int) -> None:
        with self._lock:
            self._tally.advanced += images
            self._draw()

    def unit_done(self, unit: int) -> None:
        with self._lock:
            self._tally.units_done += 1
            self._draw()

    def note(self, text: str) -> None:
        self._bars.console.print(text, highlight=False, markup=False)

    def finish(self) -> None:
        self._bars.stop()

    def _draw(self) -> None:
        self._bars.update(self._task, completed=self._tally.done, state=self._tally.text())
