"""Which part is taken for which: the confusions that an evaluation stores with its metrics."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Store
from pdstore.errors import CorruptData
from pdstore.inventory import shown_layer
from stages.plan.pipeline import Node
from stages.stage import CONFUSION

__all__ = ["Confusion", "read_confusions"]


@dataclass(frozen=True, eq=False)
class Confusion:
    """The confusion of the parts of an object class.

    Attributes:
        parts: names of the parts, with the background last.
        pixels: (P, P) int64, true part × predicted part.
    """

    class_name: str
    parts: tuple[str, ...]
    pixels: npt.NDArray[np.int64]

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """(P, P): of the pixels of each true part, the share taken for each part; 0 if the part has no pixels."""
        totals = self.pixels.sum(1, keepdims=True)
        shares: npt.NDArray[np.float64] = self.pixels / np.maximum(totals, 1)
        return shares


def read_confusions(store: Store, evaluation: Node, evaluated: str, protocol: str) -> list[Confusion]:
    """One confusion per class, in the order of the evaluation.

    The list is empty if the evaluation has not run, or was run by an older version that stored no confusions.

    Raises:
        CorruptData: the content of the file is not what an evaluation writes.
    """
    layer = store.layer(evaluation.name, shown_layer(store, evaluation.name) or evaluation.fingerprint)
    if not layer.units() or CONFUSION not in layer.manifest(0).files:
        return []
    try:
        listed = json.loads(layer.file(0, CONFUSION))
        wanted = [record for record in listed if (record["evaluated"], record["protocol"]) == (evaluated, protocol)]
        return [_read(record) for record in wanted]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        where = f"{evaluation.name}, {CONFUSION}"
        problem = f"these are not confusions as the stage eval writes them ({type(error).__name__}: {error!s})"
        raise CorruptData(problem, where, "Run: pd verify") from error


def _read(record: dict[str, Any]) -> Confusion:
    parts, pixels = tuple(record["parts"]), np.asarray(record["pixels"], np.int64)
    if pixels.shape != (len(parts), len(parts)):
        raise ValueError(f"{record['class_name']}: {len(parts)} parts and pixels of shape {pixels.shape}")
    return Confusion(record["class_name"], parts, pixels)
