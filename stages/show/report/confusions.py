"""Which part is taken for which: the confusion that an evaluation keeps beside its numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Store
from pdstore.errors import CorruptData
from stages.plan.pipeline import Node
from stages.registry import CONFUSION

__all__ = ["Confusion", "read_confusions"]


@dataclass(frozen=True, eq=False)
class Confusion:
    """The parts of an object class.

    Attributes:
        parts: names, the background last.
        pixels: (P, P) int64, true part × predicted part.
    """

    class_name: str
    parts: tuple[str, ...]
    pixels: npt.NDArray[np.int64]

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """(P, P): of the pixels of each true part, the share that was taken for each part; 0 where there is none."""
        totals = self.pixels.sum(1, keepdims=True)
        shares: npt.NDArray[np.float64] = self.pixels / np.maximum(totals, 1)
        return shares


def read_confusions(store: Store, evaluation: Node, evaluated: str, protocol: str) -> list[Confusion]:
    """One a class, as the evaluation lists them; none of one that kept none, or is of an older program.

    Raises:
        CorruptData: the file is not what an evaluation writes.
    """
    layer = store.layer(evaluation.name, evaluation.fingerprint)
    if not layer.units() or CONFUSION not in layer.manifest(0).files:
        return []
    try:
        listed = json.loads(layer.file(0, CONFUSION))
        wanted = [one for one in listed if (one["evaluated"], one["protocol"]) == (evaluated, protocol)]
        return [_read(one) for one in wanted]
    except (ValueError, KeyError, TypeError) as error:
        where = f"{evaluation.name}, {CONFUSION}"
        raise CorruptData(
            f"expected confusions as the stage eval writes them, found {error!s}", where, "Run: pd verify"
        ) from error


def _read(one: dict[str, Any]) -> Confusion:
    parts, pixels = tuple(one["parts"]), np.asarray(one["pixels"], np.int64)
    if pixels.shape != (len(parts), len(parts)):
        raise ValueError(f"{one['class_name']}: {len(parts)} parts and pixels of shape {pixels.shape}")
    return Confusion(one["class_name"], parts, pixels)
