"""A run in Weights & Biases. Without a server or a key it is written offline; whatever fails here ends no node."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from PIL import Image

from stages.track.masked_picture import MaskedPicture, Names, label_map, squared
from stages.track.server import unreachable
from stages.track.tracker import RunName, Table

__all__ = ["WandbRun", "open_run"]

FINISH_S = 120.0
"""How long the end of a node waits for uploads. What is late stays in the folder of the run, for ``wandb sync``."""
_said: set[str] = set()
"""Reasons that were printed: a pipeline with many nodes says each of them once."""


class WandbRun:
    """An open run. A call that fails ends the reports, and nothing else.

    Args:
        names: node -> names of its masks so far; new names are added to it.
        say: prints a line.
    """

    def __init__(self, run: Any, names: MutableMapping[str, Names], say: Callable[[str], None]) -> None:
        self._run, self._names, self._say = run, names, say

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self._log(step, lambda: dict(values))

    def picture(self, step: int, picture: MaskedPicture) -> None:
        """The image with one layer of masks per group, which W&B shows and hides by name."""
        self._log(step, lambda: {"pictures": self._image(picture)})

    def drawing(self, step: int, name: str, drawing: Image.Image) -> None:
        self._log(step, lambda: {name: wandb.Image(drawing)})

    def sizes(self, step: int, name: str, sizes: Sequence[int]) -> None:
        self._log(step, lambda: {name: wandb.Histogram(list(sizes))})

    def table(self, step: int, name: str, table: Table) -> None:
        self._log(step, lambda: {name: wandb.Table(list(table.columns), [list(row) for row in table.rows])})

    def restart(self, step: int) -> None:
        """W&B keeps the first value of a step. A training that goes on repeats its values, so nothing is lost."""

    def close(self) -> None:
        self._guarded(lambda run: run.finish())
        self._run = None

    def _log(self, step: int, values: Callable[[], dict[str, Any]]) -> None:
        self._guarded(lambda run: run.log(values(), step=step))

    def _guarded(self, act: Callable[[Any], object]) -> None:
        if self._run is not None:
            try:
                act(self._run)
            except Exception as error:  # such as a service of W&B that has died: no reason to lose the node's work
                self._run = None
                _say_once(f"W&B: off, because {_reason(error)}", self._say)

    def _image(self, picture: MaskedPicture) -> wandb.Image:
        masks = {}
        for group in picture.groups:
            names = self._names.setdefault(group.node, Names())
            painted = squared(label_map(group, names), fill=0)
            masks[group.node] = {"mask_data": painted, "class_labels": dict(names.labels())}
        return wandb.Image(squared(picture.pixels), caption=picture.caption, masks=masks or None)


def open_run(
    folder: Path,
    project: str,
    run: RunName,
    names: MutableMapping[str, Names],
    say: Callable[[str], None],
) -> WandbRun | None:
    """Open a run, or go on with the one that has this id; None if not even a local one can be opened.

    ``WANDB_MODE`` decides if it is set. Otherwise the configured server (``WANDB_BASE_URL``) is asked whether it is
    there, and without it or without a key the run is written below ``folder``; the reason is said once per process.
    """
    options: dict[str, Any] = {
        "project": project,
        "name": run.name,
        "id": run.run_id,
        # The group of the environment goes first: its owner has asked for it.
        "group": os.environ.get("WANDB_RUN_GROUP") or run.group or None,
        "job_type": run.job_type or None,
        "resume": "allow",
        # Nodes that are computed in one pass report at once: a run must not be closed by the next one.
        "reinit": "create_new",
        "dir": str(folder),
        "config": dict(run.config),
        "settings": wandb.Settings(console="off", silent=True, finish_timeout=FINISH_S),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return WandbRun(_init(options, say), names, say)
    except Exception as error:  # whatever it is, it is no reason to lose the node's work
        _say_once(f"W&B: off, because {_reason(error)}", say)
        return None


def _init(options: dict[str, Any], say: Callable[[str], None]) -> Any:
    mode, why = os.environ.get("WANDB_MODE"), ""
    if not mode:
        # W&B itself waits for minutes if there is no network, and prompts for a key if there is none.
        why = _why_offline()
        mode = "offline" if why else "online"
    if mode == "online":
        try:
            return wandb.init(mode="online", **options)
        except wandb.errors.Error as error:  # no key, a wrong one, a server that is none
            mode, why = "offline", _reason(error)
    if why:
        _say_once(f"W&B: offline, because {why}. Upload the run later with: wandb sync", say)
    return wandb.init(mode=mode, **options)  # type: ignore[arg-type]


def _why_offline() -> str:
    """Why W&B's server cannot be used, as a part of a sentence; empty if it can."""
    if not (os.environ.get("WANDB_API_KEY") or wandb.login(prompt=False, verify=False)):
        return "there is no key (wandb login, or WANDB_API_KEY)"
    # W&B's own settings: its files, and WANDB_BASE_URL for a server of one's own.
    settings = wandb.setup().settings
    return unreachable(settings.base_url, {"http": settings.http_proxy, "https": settings.https_proxy})


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _say_once(text: str, say: Callable[[str], None]) -> None:
    if text not in _said:
        _said.add(text)
        say(text)
