"""What a training reports while it runs: one line of JSON per step, pictures, and optionally Weights & Biases.

The log file always exists. W&B gets a copy: one run per training, which a resumed training continues.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image

from schemas.training import TrainSettings

__all__ = ["LOG_NAME", "TrainingLog", "read_log"]

LOG_NAME = "log.jsonl"

WANDB_HOST = ("api.wandb.ai", 443)
REACH_S = 3.0


class TrainingLog:
    """The log of one training, in the training's folder. Only the first rank has a log.

    Args:
        folder: folder of the training.
        name: name of the run in W&B.
        config: settings that W&B shows.
    """

    def __init__(self, folder: Path, settings: TrainSettings, name: str, config: Mapping[str, Any]) -> None:
        self.folder, self.path = folder, folder / LOG_NAME
        self._run = _wandb_run(folder, settings, name, config) if settings.wandb else None

    def cut(self, done: int) -> None:
        """Keep only the lines of the first ``done`` steps: later lines will be written again."""
        if not self.path.exists():
            return
        kept = [json.dumps(line) + "\n" for line in read_log(self.folder) if line["step"] <= done]
        temporary = self.path.with_name(f".{LOG_NAME}.{uuid4().hex}")
        temporary.write_text("".join(kept))
        os.replace(temporary, self.path)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._run is not None:
            self._run.log(dict(values), step=step)

    def picture(self, step: int, picture: Image.Image) -> None:
        """Write the picture to ``pictures/step_<n>.png``."""
        path = self.folder / "pictures" / f"step_{step:08d}.png"
        path.parent.mkdir(exist_ok=True)
        picture.save(path)
        if self._run is not None:
            import wandb

            self._run.log({"pictures": wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()
            self._run = None


def read_log(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a training's log, up to a line that a killed process left incomplete."""
    for line in (folder / LOG_NAME).read_text().splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


def _wandb_run(folder: Path, settings: TrainSettings, name: str, config: Mapping[str, Any]) -> Any:
    import wandb

    id_file = folder / "wandb_id"
    if not id_file.exists():
        id_file.write_text(uuid4().hex[:12])
    # W&B itself waits for minutes if there is no network, and prompts for a key if there is none.
    mode = os.environ.get("WANDB_MODE") or ("online" if _has_key(wandb) and _is_reachable() else "offline")
    return wandb.init(
        project=settings.wandb_project,
        name=name,
        id=id_file.read_text().strip(),
        resume="allow",
        dir=str(folder),
        config=dict(config),
        mode=mode,  # type: ignore[arg-type]
        settings=wandb.Settings(console="off", silent=True),
    )


def _has_key(wandb: Any) -> bool:
    return bool(os.environ.get("WANDB_API_KEY") or wandb.api.api_key)


def _is_reachable() -> bool:
    try:
        with socket.create_connection(WANDB_HOST, REACH_S):
            return True
    except OSError:
        return False
