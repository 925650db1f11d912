"""Where a training keeps what it goes on from, and how that is forgotten.

Its selections lie in the store, beside them a record of the input they were frozen from. Its checkpoints are files of
a local folder: the store's own where the store is local, otherwise a folder of this machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pdstore import Store, layout

__all__ = ["TrainingPlace"]


@dataclass(frozen=True)
class TrainingPlace:
    """The place of the training that writes the layer ``fingerprint`` of ``node``."""

    store: Store
    node: str
    fingerprint: str

    @property
    def selection(self) -> str:
        """Name of the selection that the training learns from."""
        return layout.training_selection(self.node, self.fingerprint)

    @property
    def held_out(self) -> str:
        """Name of the selection that the training is validated on."""
        return layout.training_selection(self.node, self.fingerprint, is_held_out=True)

    @property
    def folder(self) -> Path:
        """The local folder of checkpoints, log and pictures. It may not exist yet."""
        path = layout.checkpoints(self.node, self.fingerprint)
        if self.store.files.is_local:
            return self.store.files.local(path)
        # Checkpoints are rewritten in place, which object stores are slow at: they stay on this machine until the end.
        name = hashlib.sha256(f"{self.store.url}/{path}".encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"pd-checkpoints-{name}"

    @property
    def is_begun(self) -> bool:
        """True if a training that was stopped before its end has left a state to go on from."""
        return self.folder.exists()

    def frozen_inputs(self, current: Mapping[str, str]) -> dict[str, str]:
        """Input role -> digest of what the selection was frozen from; ``current``, which is kept, if it is not frozen.

        A training that goes on days later still learns from the images that it began with, whatever has come since.
        """
        files, path = self.store.files, layout.selection_inputs(self.selection)
        if files.exists(layout.selection(self.selection)) and files.exists(path):
            return {role: str(digest) for role, digest in json.loads(files.read(path)).items()}
        files.write(path, json.dumps(dict(current), sort_keys=True).encode())
        return dict(current)

    def forget(self) -> None:
        """Let the training choose its images anew and start from its first step."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in (self.selection, self.held_out):
            self.store.files.remove(layout.selection(name))
            self.store.files.remove(layout.selection_inputs(name))
