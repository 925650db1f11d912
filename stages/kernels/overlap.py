"""How many pixels of overlapping masks stay visible when they are painted over one another, from the run lengths.

Each pixel is given to one mask, on the runs (:func:`pdstore.runs.one_per_pixel`), and what two such lists have in
common is counted. No label map is ever painted: time grows with the number of runs, and memory with the masks of one
image. All masks are COCO run lengths of the same (height, width).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore import runs
from pdstore.ragged import Ragged
from pdstore.runs import Runs

__all__ = ["joint_pixels", "shown_pixels", "unique_iou"]

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def shown_pixels(predicted: Ragged, truth: Ragged, height: int, width: int) -> Ints:
    """(N + 1, G + 1) int64: pixels where both a prediction and a true mask are visible, for each pair of them.

    Later masks are painted over earlier ones. The last row counts pixels without a prediction, the last column pixels
    without a true mask.
    """
    over, under = (_disjoint(rle, np.arange(len(rle))[::-1], height, width) for rle in (predicted, truth))
    shown = np.zeros((len(predicted) + 1, len(truth) + 1), np.int64)
    shown[:-1, :-1] = _common(over, under)
    shown[:-1, -1] = runs.areas(over) - shown[:-1].sum(1)
    shown[-1, :-1] = runs.areas(under) - shown[:, :-1].sum(0)
    shown[-1, -1] = height * width - shown.sum()
    return shown


def joint_pixels(shown: Ints, clusters: npt.ArrayLike, parts: npt.ArrayLike, shape: tuple[int, int]) -> Ints:
    """``shape`` = (K + 1, P + 1) int64 pixels: painted cluster (K = none) × painted part (P = background).

    Args:
        shown: (N + 1, G + 1) from :func:`shown_pixels`.
        clusters: (N,) int, 0..K.
        parts: (G,) int, 0..P.
    """
    joint = np.zeros(shape, np.int64)
    rows, columns = (
        np.append(ids, size - 1).astype(np.int64) for ids, size in zip((clusters, parts), shape, strict=True)
    )
    np.add.at(joint, (rows[:, None], columns), shown)
    return joint


def unique_iou(predicted: Ragged, scores: npt.ArrayLike, truth: Ragged, height: int, width: int) -> Doubles:
    """(N, G) float64: IoU with the truth after each pixel has gone to the best-scored prediction that covers it.

    Args:
        scores: (N,); if scores are equal, the earlier prediction keeps the pixel.
    """
    best_first = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    unique, true = _disjoint(predicted, best_first, height, width), runs.read(truth, height, width)
    common = _common(unique, true)
    either = runs.areas(unique)[:, None] + runs.areas(true) - common
    return np.asarray(common / np.maximum(either, 1), np.float64)


def _disjoint(rle: Ragged, order: Ints, height: int, width: int) -> Runs:
    """The masks without the pixels of those that come before them in ``order``."""
    return runs.one_per_pixel(runs.read(rle, height, width), order, runs.full(height, width))


def _common(a: Runs, b: Runs) -> Ints:
    """(A, B) int64: number of pixels that each pair has in common."""
    columns = [runs.areas_inside(a, b.take([number])) for number in range(len(b))]
    return np.stack(columns, 1) if columns else np.zeros((len(a), 0), np.int64)
