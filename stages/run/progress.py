"""What a run reports while it works. This module defines the reports; the command line draws them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from stages.unit import Control

__all__ = ["Progress", "Silent", "Watch"]


class Progress(Protocol):
    """A receiver of a run's reports. Its methods may be called from several threads."""

    def start(self, node: str, units: int, done: int, images_per_unit: float) -> None:
        """Work on a node begins: ``units`` in total, of which ``done`` are already committed."""

    def unit_started(self, unit: int) -> None:
        """Computing a unit begins, in this process."""

    def resumed(self, steps: int) -> None:
        """The training begins after so many steps, which an earlier run has done."""

    def attempt_failed(self, unit: int, is_last: bool) -> None:
        """What was reported since the unit was started does not count; unless ``is_last``, it is tried again."""

    def advance(self, images: int) -> None:
        """So many more images (or training steps) are done."""

    def unit_done(self, unit: int) -> None:
        """A unit was committed, by this run or by another worker."""

    def note(self, text: str) -> None:
        """One line about what is going on."""

    def finish(self) -> None:
        """Work on the node has ended."""


class Silent:
    """A receiver that ignores all reports."""

    def start(self, node: str, units: int, done: int, images_per_unit: float) -> None: ...

    def unit_started(self, unit: int) -> None: ...

    def resumed(self, steps: int) -> None: ...

    def attempt_failed(self, unit: int, is_last: bool) -> None: ...

    def advance(self, images: int) -> None: ...

    def unit_done(self, unit: int) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


@dataclass(frozen=True)
class Watch:
    """The observer of a run: it receives the progress and may request a stop."""

    progress: Progress = field(default_factory=Silent)
    should_stop: Callable[[], bool] = lambda: False

    @property
    def control(self) -> Control:
        """The observer as the units of the run see it."""
        return Control(self.should_stop, self.progress.advance, self.progress.note, self.progress.resumed)
