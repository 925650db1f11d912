"""The id of a run in W&B, and its group: recorded once, so that whoever goes on reports to the same run."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

from pdstore import layout
from pdstore.files import Files

__all__ = ["recorded_group", "recorded_id", "stored_id"]


def recorded_id(path: Path) -> str:
    """The id in a local file, which is written at the first call."""
    try:
        with path.open("x") as file:
            file.write(_new_id())
    except FileExistsError:
        pass
    return path.read_text().strip()


def stored_id(files: Files, node: str, fingerprint: str) -> str:
    """The id of the run of a layer. Of several workers that ask at once all get the same."""
    return _created(files, layout.tracking_id(node, fingerprint), _new_id())


def recorded_group(files: Files) -> str:
    """The store's name in W&B: the name of its folder, and something that no other store has."""
    name = re.sub(r"[^\w.-]+", "-", files.root.rstrip("/").rsplit("/", 1)[-1]) or "store"
    return _created(files, layout.tracking_group(), f"{name}-{_new_id()[:6]}")


def _created(files: Files, path: str, text: str) -> str:
    try:
        return files.read(path).decode()
    except FileNotFoundError:
        files.create(path, text.encode())
        return files.read(path).decode()


def _new_id() -> str:
    return uuid4().hex[:12]
