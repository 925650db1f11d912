"""What a training reports while it runs: one line of JSON per step, pictures, and optionally Weights & Biases.

The log file always exists. W&B gets a copy: one run per training, which a resumed training continues.
"""

from __future__ import annotations

import json
import math
import os
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener, getproxies
from uuid import uuid4

from PIL import Image

from schemas.training import TrainSettings

__all__ = ["LOG_NAME", "TrainingLog", "read_log", "unreachable"]

LOG_NAME = "log.jsonl"

REACH_S = 5.0


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

    def add(self, step: int, values: Mapping[str, float], skipped_images: Sequence[int] = ()) -> None:
        """Add the line of a step. A value that is not finite is null there, because JSON has no word for it.

        Args:
            skipped_images: ids of the images of a step that was skipped.
        """
        line = {name: value if math.isfinite(value) else None for name, value in values.items()}
        skipped = {"skipped_images": list(skipped_images)} if skipped_images else {}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **line, **skipped}) + "\n")
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
    options: dict[str, Any] = {
        "project": settings.wandb_project,
        "name": name,
        "id": id_file.read_text().strip(),
        "resume": "allow",
        "dir": str(folder),
        "config": dict(config),
        "settings": wandb.Settings(console="off", silent=True),
    }
    mode, why = os.environ.get("WANDB_MODE"), ""
    if not mode:
        # W&B itself waits for minutes if there is no network, and prompts for a key if there is none.
        why = _why_offline(wandb)
        mode = "offline" if why else "online"
    if mode == "online":
        try:
            return wandb.init(mode="online", **options)
        except wandb.errors.Error as error:  # no key, a wrong one, a server that is none: no reason to lose a training
            why = " ".join(str(error).split()) or type(error).__name__
            mode = "offline"
    if why:
        sys.stderr.write(f"W&B: offline, because {why}. Upload the run later with: wandb sync\n")
    return wandb.init(mode=mode, **options)  # type: ignore[arg-type]


def _why_offline(wandb: Any) -> str:
    """Why W&B's server cannot be used, as a part of a sentence; empty if it can."""
    if not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
        return "there is no key (wandb login, or WANDB_API_KEY)"
    # W&B's own settings: its files, and WANDB_BASE_URL for a server of one's own.
    settings = wandb.setup().settings
    return unreachable(settings.base_url, {"http": settings.http_proxy, "https": settings.https_proxy})


def unreachable(url: str, proxies: Mapping[str, str | None]) -> str:
    """Why a server does not answer, as a part of a sentence; empty if it does, with whatever status.

    Args:
        proxies: scheme -> proxy; those of the environment (HTTPS_PROXY, NO_PROXY, …) are used where none is given.
    """
    # Nothing secret is sent, and W&B checks the certificate with its own settings: a server's own is no obstacle here.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    given = {scheme: proxy for scheme, proxy in proxies.items() if proxy}
    handlers = [ProxyHandler({**getproxies(), **given})] if given else []
    try:
        with build_opener(*handlers, HTTPSHandler(context=context)).open(Request(url, method="HEAD"), timeout=REACH_S):
            return ""
    except HTTPError as answer:
        answer.close()
        # These come from a proxy that could not get through; any other status is the server's own answer.
        return f"the proxy for {url} answers {answer.code}" if answer.code in (407, 502, 503, 504) else ""
    except (OSError, HTTPException, ValueError) as error:
        return f"{url} does not answer ({getattr(error, 'reason', None) or str(error) or type(error).__name__})"
