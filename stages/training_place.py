"""What a training leaves behind to go on from, and how it is forgotten.

Its selections lie in the store, beside them what its input was when they were frozen. Its checkpoints are files of a
local folder: the store's own where that is local, else one of this machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pdstore import Store, layout

__all__ = ["forget", "frozen_inputs", "selection_names", "state_folder"]


def selection_names(checkpoints: str) -> tuple[str, str]:
    """The selections of the training whose state is in ``checkpoints``: what it learns from, what it is tried on."""
    name = checkpoints.replace("/", "-")
    return name, f"{name}-held-out"


def state_folder(store: Store, checkpoints: str) -> Path:
    """The local folder of the training whose state the layout puts in ``checkpoints``."""
    if store.files.is_local:
        return store.files.local(checkpoints)
    # Checkpoints are rewritten in place, which object stores are slow at: they stay on this machine until the end.
    name = hashlib.sha256(f"{store.url}/{checkpoints}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"pd-checkpoints-{name}"


def frozen_inputs(store: Store, checkpoints: str, seen: Mapping[str, str]) -> dict[str, str]:
    """Input role -> digest of what the training's selection was frozen from; ``seen`` if it is not frozen yet.

    A training that goes on days later still learns from the images that it began with, whatever has come since.
    """
    name, _ = selection_names(checkpoints)
    path = layout.selection_inputs(name)
    if store.files.exists(layout.selection(name)) and store.files.exists(path):
        return {role: str(digest) for role, digest in json.loads(store.files.read(path)).items()}
    store.files.write(path, json.dumps(dict(seen), sort_keys=True).encode())
    return dict(seen)


def forget(store: Store, checkpoints: str) -> None:
    """The training chooses its images anew and starts from its first step."""
    shutil.rmtree(state_folder(store, checkpoints), ignore_errors=True)
    for name in selection_names(checkpoints):
        store.files.remove(layout.selection(name))
        store.files.remove(layout.selection_inputs(name))
