"""Where a training keeps the state that it resumes from, and how to discard that state.

Its selections are in the store, next to a record of the inputs that they were frozen from. Its checkpoints are files
in a local folder: inside the store if the store is local, otherwise on this machine, and a copy of them in the store.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdstore import Store, layout
from pdstore.errors import CorruptData
from pdstore.info import read_record
from pdstore.records import remove_with_digest, seal
from stages.training_mirror import fetch_state, send_state

__all__ = ["TrainingPlace"]


@dataclass(frozen=True)
class TrainingPlace:
    """The state of the training that writes layer ``fingerprint`` of ``node``."""

    store: Store
    node: str
    fingerprint: str

    @property
    def selection(self) -> str:
        """The name of the selection that the training learns from."""
        return layout.training_selection(self.node, self.fingerprint)

    @property
    def held_out(self) -> str:
        """The name of the selection that the training is validated on."""
        return layout.training_selection(self.node, self.fingerprint, is_held_out=True)

    @property
    def folder(self) -> Path:
        """The local folder of checkpoints, log and pictures. It may not exist yet."""
        path = layout.checkpoints(self.node, self.fingerprint)
        if self.store.files.is_local:
            return self.store.files.local(path)
        # The log grows line by line, which no object can: what is sent to the store is a copy.
        name = hashlib.sha256(f"{self.store.url}/{path}".encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"pd-checkpoints-{name}"

    @property
    def is_begun(self) -> bool:
        """True if a training that was stopped before its end has left a state to resume from."""
        return self.folder.exists() or (not self.store.files.is_local and bool(self.store.files.names(self._remote)))

    @property
    def _remote(self) -> str:
        return layout.checkpoints(self.node, self.fingerprint)

    def fetch(self) -> str:
        """Bring the folder to what an object store has of the training. Returns the checkpoint that was fetched."""
        return "" if self.store.files.is_local else fetch_state(self.store.files, self._remote, self.folder)

    def send(self, note: Callable[[str], None]) -> None:
        """Send the state that was just written to an object store. ``note`` prints a line if that fails."""
        if not self.store.files.is_local:
            send_state(self.store.files, self._remote, self.folder, note)

    def frozen_inputs(self, current: Mapping[str, str]) -> dict[str, str]:
        """Input role -> digest of the input that the selection was frozen from.

        Without a frozen selection this is ``current``, which is recorded. So a training that resumes days later still
        learns from the images that it began with, whatever was committed since.
        """
        files, path = self.store.files, layout.selection_inputs(self.selection)
        selection = layout.selection(self.selection)
        if files.exists(selection) or files.exists(layout.digest(selection)):
            try:
                return read_record(files, path, self._inputs)
            except FileNotFoundError:
                if files.exists(layout.digest(selection)):
                    problem = "the record is missing of the inputs that the selection was frozen from"
                    fix = (
                        f"Restore the file from a copy, or train from the start: pd gc --layer {self.fingerprint} --yes"
                    )
                    raise CorruptData(problem, files.full(path), fix) from None
        files.write(path, seal({"selection": self.selection, "inputs": dict(current)}))
        return dict(current)

    def _inputs(self, values: dict[str, Any]) -> dict[str, str]:
        # Earlier releases wrote the inputs alone.
        inputs = values["inputs"] if isinstance(values.get("inputs"), dict) else values
        if values.get("selection", self.selection) != self.selection:
            raise ValueError(f"it is that of {values['selection']}")
        return {str(role): str(digest) for role, digest in inputs.items()}

    def forget(self) -> None:
        """Discard the state: the training selects its images again and starts from its first step."""
        if not self.store.files.is_local:
            self.store.files.remove_tree(self._remote)
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in (self.selection, self.held_out):
            remove_with_digest(self.store.files, layout.selection(name))
            self.store.files.remove(layout.selection_inputs(name))
