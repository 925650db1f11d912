"""The interface of every feature backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from stages.unit import Unit

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Features", "Maps"]

Maps: TypeAlias = "npt.NDArray[np.float32] | Tensor"
"""(C, h, w) float32: an array, or a tensor on a GPU, where its objects are then grouped."""

Features = Callable[[Unit, list[int]], Iterator[tuple[int, Maps]]]
"""A unit and image ids -> (image_id, :data:`Maps` that cover the whole image), in any order.

A picture that cannot be read becomes an error row of the unit and is left out.
"""
