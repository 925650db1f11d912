"""What a run reports to, and how it is opened from a node's settings."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from pdstore.errors import UsageError
from schemas.tracking import TrackedSettings
from stages.track.masked_picture import MaskedPicture, Names

__all__ = ["RunName", "Table", "Tracker", "Trackers", "check_packages", "open_trackers", "say_on_stderr"]


@dataclass(frozen=True)
class RunName:
    """How W&B shows a run.

    Attributes:
        name: the node. run_id: the same for all runs that continue one another.
        group: the store. job_type: the stage.
        config: settings.
    """

    name: str
    run_id: str
    group: str = ""
    job_type: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Rows that are shown as a table, each with one value per column."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Tracker(Protocol):
    """One place that reports go to. The steps of the calls never fall; a step's values may come in several calls."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None: ...

    def picture(self, step: int, picture: MaskedPicture) -> None:
        """An image with its masks."""

    def drawing(self, step: int, name: str, drawing: Image.Image) -> None:
        """What is drawn already."""

    def sizes(self, step: int, name: str, sizes: Sequence[int]) -> None:
        """A histogram."""

    def table(self, step: int, name: str, table: Table) -> None: ...

    def restart(self, step: int) -> None:
        """What was reported of this step and later ones is void, and comes again."""

    def close(self) -> None: ...


class Trackers:
    """Several trackers as one; with none, every report goes nowhere."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    def __bool__(self) -> bool:
        return bool(self._trackers)

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        for tracker in self._trackers:
            tracker.numbers(step, values)

    def picture(self, step: int, picture: MaskedPicture) -> None:
        for tracker in self._trackers:
            tracker.picture(step, picture)

    def drawing(self, step: int, name: str, drawing: Image.Image) -> None:
        for tracker in self._trackers:
            tracker.drawing(step, name, drawing)

    def sizes(self, step: int, name: str, sizes: Sequence[int]) -> None:
        for tracker in self._trackers:
            tracker.sizes(step, name, sizes)

    def table(self, step: int, name: str, table: Table) -> None:
        for tracker in self._trackers:
            tracker.table(step, name, table)

    def restart(self, step: int) -> None:
        for tracker in self._trackers:
            tracker.restart(step)

    def close(self) -> None:
        trackers, self._trackers = self._trackers, ()
        for tracker in trackers:
            tracker.close()


def say_on_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def check_packages(settings: TrackedSettings, where: str) -> None:
    """Raises UsageError if the settings ask for a package that is not installed."""
    if settings.tensorboard and importlib.util.find_spec("tensorboard") is None:
        fix = "Install it: pip install 'pdstore[tensorboard]'. Or do without: tensorboard=false"
        raise UsageError("the package tensorboard is not installed", where, fix)


def open_trackers(
    settings: TrackedSettings,
    folder: Path,
    events: Path,
    run: RunName,
    names: MutableMapping[str, Names] | None = None,
    say: Callable[[str], None] = say_on_stderr,
) -> Trackers:
    """What the settings ask for. Neither wandb nor tensorboard is imported unless they do.

    Args:
        folder: local folder for the files of W&B. events: local folder for the event files of TensorBoard.
        names: node -> names of its masks so far; new names are added to it.
        say: prints a line, such as why W&B is offline.

    Raises:
        UsageError: a package is not installed. A server that does not answer raises nothing.
    """
    check_packages(settings, run.name)
    trackers: list[Tracker] = []
    if settings.wandb:
        from stages.track.wandb_run import open_run

        opened = open_run(folder, settings.wandb_project, run, {} if names is None else names, say)
        trackers += [opened] if opened else []
    if settings.tensorboard:
        from stages.track.event_files import EventFiles

        trackers.append(EventFiles(events))
    return Trackers(trackers)
