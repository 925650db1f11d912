"""Data sets for PyTorch on a query over a store: streamed, with random access, and as batches for models.

    from pdstore.torch import Loader, Stream, mask2former_inputs

    stream = Stream("my-store", "SELECT * FROM labels WHERE score > 0.5", batch_size=16, collate=mask2former_inputs)
    for batch in Loader(stream, num_workers=4): loss = model(**batch).loss

This is a door: what it offers is in ``stages/loading/``, since it decodes pictures, which the engine does not. It is
loaded by name when it is asked for, so that the engine imports neither torch nor what is above it.
"""

from importlib import import_module
from typing import Any

__all__ = ["Loader", "MapDataset", "Stream", "detection_targets", "mask2former_inputs"]

_OFFERED = {
    "Loader": "stages.loading.stream",
    "MapDataset": "stages.loading.map_dataset",
    "Stream": "stages.loading.stream",
    "detection_targets": "stages.loading.collate",
    "mask2former_inputs": "stages.loading.collate",
}


def __getattr__(name: str) -> Any:
    if name in _OFFERED:
        return getattr(import_module(_OFFERED[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
