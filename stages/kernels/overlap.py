"""How many pixels of overlapping masks stay visible when they are painted over one another, from the run lengths.

If masks are listed from top to bottom, the visible pixels of mask i are those that it adds to the union of the masks
before it. So the unions and their overlaps hold all the information of two label maps, and neither map is ever
painted: time grows with the number of runs, and memory with the masks of one image. All masks are COCO run lengths of
the same (height, width).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore import masks
from pdstore.ragged import Ragged

__all__ = ["joint_pixels", "overlap", "shown_pixels", "unique_iou"]

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def overlap(a: Ragged, b: Ragged, height: int, width: int) -> Ints:
    """(A, B) int64: number of pixels that each pair has in common."""
    iou = masks.iou(a, b, height, width)
    both = masks.area(a, height, width)[:, None] + masks.area(b, height, width)
    # IoU = common / (both − common); a double holds this quotient precisely enough to recover the pixel count.
    return np.rint(iou * both / (1 + iou)).astype(np.int64)


def shown_pixels(predicted: Ragged, truth: Ragged, height: int, width: int) -> Ints:
    """(N + 1, G + 1) int64: pixels where both a prediction and a true mask are visible, for each pair of them.

    Later masks are painted over earlier ones. The last row counts pixels without a prediction, the last column pixels
    without a true mask.
    """
    over, under = _unions(_reversed(predicted), height, width), _unions(_reversed(truth), height, width)
    common = np.diff(np.diff(overlap(over, under, height, width), axis=0, prepend=0), axis=1, prepend=0)
    shown = np.zeros((len(predicted) + 1, len(truth) + 1), np.int64)
    shown[:-1, :-1] = common[::-1, ::-1]
    shown[:-1, -1] = _grown(over, height, width)[::-1] - shown[:-1].sum(1)
    shown[-1, :-1] = _grown(under, height, width)[::-1] - shown[:, :-1].sum(0)
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
    unions = _unions(predicted.take(best_first), height, width)
    common = np.diff(overlap(unions, truth, height, width), axis=0, prepend=0)
    either = _grown(unions, height, width)[:, None] + masks.area(truth, height, width) - common
    iou = np.empty(common.shape)
    iou[best_first] = common / np.maximum(either, 1)
    return iou


def _unions(rle: Ragged, height: int, width: int) -> Ragged:
    """String i is the union of the masks 0..i."""
    united: list[bytes] = []
    for counts in rle:
        united.append(masks.union((united[-1], counts), height, width) if united else counts)
    return Ragged.from_list(united)


def _grown(unions: Ragged, height: int, width: int) -> Ints:
    """(N,) int64: number of pixels by which each union exceeds the one before."""
    return np.diff(masks.area(unions, height, width), prepend=0)


def _reversed(rle: Ragged) -> Ragged:
    return rle.take(np.arange(len(rle))[::-1])
