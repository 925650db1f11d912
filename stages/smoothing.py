"""Masks whose borders follow the image: the dense CRF on the parts of one object, wherever a stage applies it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from schemas.stages import CrfSettings
from stages.kernels.crf import dense_crf

__all__ = ["layers", "painted", "smooth"]

Bools = npt.NDArray[np.bool_]


def painted(stack: Bools) -> npt.NDArray[np.int16]:
    """(M, H, W) masks -> (H, W) label map: 1..M, of overlapping masks the last one; 0 is background."""
    numbers = np.arange(1, len(stack) + 1, dtype=np.int16)[:, None, None]
    return np.asarray((stack * numbers).max(0, initial=0), np.int16)


def layers(labels: npt.NDArray[np.int16], count: int) -> Bools:
    """(H, W) label map -> (count, H, W) masks of the labels 1..count: what :func:`painted` painted, made disjoint."""
    return np.asarray(labels == np.arange(1, count + 1)[:, None, None])


def smooth(pixels: npt.NDArray[np.uint8], stack: Bools, settings: CrfSettings) -> Bools:
    """The masks after a dense CRF: disjoint, in their order, some perhaps empty.

    Background is a label like the others: a mask may outgrow where it was.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        stack: (M, H, W) bool.

    Returns:
        (M, H, W) bool.
    """
    values = settings.model_dump() | {"long_side": settings.long_side or None}
    return layers(dense_crf(pixels, painted(stack), len(stack) + 1, **values), len(stack))
