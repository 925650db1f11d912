"""The interface of every feature backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from stages.unit import Unit

__all__ = ["Features"]

Features = Callable[[Unit, list[int]], Iterator[tuple[int, npt.NDArray[np.float32]]]]
"""A unit and image ids -> (image_id, (C, h, w) float32 that covers the whole image), in any order.

A picture that cannot be read becomes an error row of the unit and is left out.
"""
