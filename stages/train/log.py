"""What a training reports while it runs: one line of JSON per step, pictures, and optionally W&B and TensorBoard.

The log file always exists. W&B and TensorBoard get copies: one run per training, which a resumed training continues.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image

from pdstore import layout
from pdstore.files import Files
from pdstore.files.local import sync_folder, write_synced
from pdstore.records.digests import keep_digest, place_file, read_checked
from schemas.training import TrainSettings
from stages.track.tracker import RunName, open_trackers
from stages.track.wandb_id import recorded_id

__all__ = ["LOG_NAME", "TrainingLog", "has_log", "read_log"]

LOG_NAME = "log.jsonl"
_FIX = f"Restore the file from a copy. Or remove it with {layout.digest(LOG_NAME)}: the losses before are then lost"


class TrainingLog:
    """The log of one training, in the training's folder. Only the first rank has a log.

    Args:
        folder: folder of the training.
        name: name of the run in W&B. group: the store. job_type: the stage.
        config: settings that W&B shows.

    Raises:
        UsageError: the settings ask for TensorBoard, and its package is not installed.
    """

    def __init__(
        self,
        folder: Path,
        settings: TrainSettings,
        name: str,
        config: Mapping[str, Any],
        *,
        group: str = "",
        job_type: str = "",
    ) -> None:
        self.folder, self.path = folder, folder / LOG_NAME
        run = RunName(name, recorded_id(folder / "wandb_id") if settings.wandb else "", group, job_type, config)
        self._trackers = open_trackers(settings, folder, folder / "tensorboard", run)

    def cut(self, done: int) -> None:
        """Keep only the lines of the first ``done`` steps: later lines will be written again.

        Raises:
            CorruptData: the log is not what was written before the last checkpoint, or is gone.
        """
        if not has_log(self.folder):
            return
        kept = [json.dumps(line) + "\n" for line in read_log(self.folder) if line["step"] <= done]
        temporary = self.path.with_name(f".{LOG_NAME}.{uuid4().hex}")
        write_synced(str(temporary), "".join(kept).encode())
        place_file(Files(str(self.folder)), temporary, LOG_NAME)
        self.keep_digest()
        self._trackers.restart(done + 1)

    def add(self, step: int, values: Mapping[str, float], skipped_images: Sequence[int] = ()) -> None:
        """Add the line of a step. A value that is not finite is null there, because JSON has no word for it.

        Args:
            skipped_images: ids of the images of a step that was skipped.
        """
        line = {name: value if math.isfinite(value) else None for name, value in values.items()}
        skipped = {"skipped_images": list(skipped_images)} if skipped_images else {}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **line, **skipped}) + "\n")
        if self._trackers:
            self._trackers.numbers(step, {_tracked_name(name): value for name, value in values.items()})

    def keep_digest(self) -> None:
        """Write the digest of the log as it is now, before a checkpoint: what a resumed training has to find again."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
            sync_folder(str(self.folder))
            keep_digest(Files(str(self.folder)), LOG_NAME, file)

    def picture(self, step: int, picture: Image.Image) -> None:
        """Write the picture to ``pictures/step_<n>.png``."""
        path = self.folder / "pictures" / f"step_{step:08d}.png"
        path.parent.mkdir(exist_ok=True)
        picture.save(path)
        self._trackers.drawing(step, "pictures", picture)

    def close(self) -> None:
        self._trackers.close()


def read_log(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a training's log, up to a line that a killed process left incomplete.

    Raises:
        CorruptData: the part that was written before the last checkpoint is damaged, or the log is gone.
    """
    for line in read_checked(Files(str(folder)), LOG_NAME, _FIX, is_growing=True).decode(errors="replace").splitlines():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            return
        if not isinstance(values, dict) or not isinstance(values.get("step"), int):
            return
        yield values


def has_log(folder: Path) -> bool:
    """Whether a training has a log, or had one that is gone."""
    return (folder / LOG_NAME).exists() or (folder / layout.digest(LOG_NAME)).exists()


def _tracked_name(name: str) -> str:
    """``validation_loss`` -> ``validation/loss``, ``loss`` -> ``train/loss``: W&B makes a section of each prefix."""
    if name.startswith("validation_"):
        return "validation/" + name.removeprefix("validation_")
    if name.startswith("eval/"):
        return name
    return "images_per_second" if name == "samples_per_s" else f"train/{name}"
