"""A trained network as files in a local folder. Loads no torch, so that it can be fetched before one knows what for."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pdstore import Layer

__all__ = ["model_folder"]


def model_folder(layer: Layer) -> Path:
    """A local folder with the files of the network that ``layer`` holds; of a local store, the attempt's own folder.

    Raises:
        InputMissing: nothing is committed there.
    """
    manifest = layer.manifest(0)
    if layer.store.files.is_local:
        return layer.store.files.local(manifest.folder)
    folder = Path(tempfile.mkdtemp(prefix=f"{layer.node}-"))
    for name in manifest.files:
        if "/" not in name:
            (folder / name).write_bytes(layer.file(0, name))
    return folder
