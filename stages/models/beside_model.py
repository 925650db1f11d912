"""What trainings of mmengine, Lightning and others pickle beside a model: known by name, and passed over.

Nothing of these classes is imported or run. An object that stands for all of them takes whatever a pickle does to it
and keeps nothing, so that the tensors beside it can be read. In the place of a tensor it is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

__all__ = ["BESIDE", "GETATTR", "PassedOver", "passed_over"]

GETATTR = frozenset({"__builtin__.getattr", "builtins.getattr"})
"""By which a pickle names a method of a class, as mmengine's log does."""


class PassedOver:
    """Stands for an object beside the model."""

    __slots__ = ()

    def __new__(cls, *values: Any, **keywords: Any) -> PassedOver:
        return object.__new__(cls)

    def __init__(self, *values: Any, **keywords: Any) -> None:
        return

    def __setstate__(self, state: Any) -> None:
        return

    def __setitem__(self, key: Any, value: Any) -> None:
        return

    def append(self, value: Any) -> None:
        return

    def extend(self, values: Any) -> None:
        return


def passed_over(*values: Any) -> PassedOver:
    """Stands for ``getattr``: no attribute of anything is ever looked up."""
    return PassedOver()


class _PassedOverMapping:
    """Stands for a mapping beside the model; its objects are plain ones, because torch fills no others."""

    __slots__ = ()

    def __new__(cls, *values: Any, **keywords: Any) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


BESIDE: dict[str, type] = {
    "argparse.Namespace": PassedOver,
    "builtins.dict": PassedOver,
    "builtins.list": PassedOver,
    "builtins.set": PassedOver,
    "collections.defaultdict": _PassedOverMapping,
    "lightning.fabric.utilities.data.AttributeDict": _PassedOverMapping,
    "lightning_fabric.utilities.data.AttributeDict": _PassedOverMapping,
    "mmengine.config.config.ConfigDict": _PassedOverMapping,
    "mmengine.logging.history_buffer.HistoryBuffer": PassedOver,
    "pathlib.PosixPath": PassedOver,
    "pathlib._local.PosixPath": PassedOver,
    "pathlib.PurePosixPath": PassedOver,
    "pathlib.WindowsPath": PassedOver,
    "pytorch_lightning.utilities.parsing.AttributeDict": _PassedOverMapping,
    "yacs.config.CfgNode": _PassedOverMapping,
}
"""Name in a pickle -> the class that stands for it."""
