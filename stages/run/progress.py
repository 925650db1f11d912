"""What a run tells about itself while it works. The command line draws it; here is only what can be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from stages.unit import Control

__all__ = ["Progress", "Silent", "Watch"]


class Progress(Protocol):
    """Where a run reports to. Methods may be called from several threads."""

    def start(self, node: str, units: int, done: int, images_per_unit: float) -> None:
        """Work on a node begins: ``units`` in all, of which ``done`` are committed already."""

    def advance(self, images: int) -> None:
        """So many images (or training steps) are done."""

    def unit_done(self, unit: int) -> None:
        """A unit was committed, by us or by another worker."""

    def note(self, text: str) -> None:
        """One line about what is going on."""

    def finish(self) -> None:
        """Work on the node has ended."""


class Silent:
    """Reports to nobody."""

    def start(self, node: str, units: int, done: int, images_per_unit: float) -> None: ...

    def advance(self, images: int) -> None: ...

    def unit_done(self, unit: int) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


@dataclass(frozen=True)
class Watch:
    """Who watches a run: where it reports its progress, and who may ask it to stop."""

    progress: Progress = field(default_factory=Silent)
    should_stop: Callable[[], bool] = lambda: False

    @property
    def control(self) -> Control:
        """The same, as the units of the run see it."""
        return Control(self.should_stop, self.progress.advance, self.progress.note)
