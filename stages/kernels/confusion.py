"""The majority vote that gives each cluster a part, and the scores of the resulting part confusion.

Everything follows from one array of pixel counts per object class, ``joint`` (K + 1, P + 1): painted cluster
(K = none) × painted part (P = background). Choosing a part for each cluster turns it into the confusion, so one pass
over the images is enough for both the vote and the scores, and the counts of different images simply add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ClassScores", "class_scores", "confusion", "majority_vote"]

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Scores of one object class, each in 0..1; arrays are (P,), with NaN for parts that do not count.

    Attributes:
        iou: of the parts in the ground truth.
        accuracy: of the parts in the ground truth.
        precision: "IoPred", of the predicted parts.
        mean_iou: Σ iou ÷ number of parts in the ground truth or the prediction.
        mean_accuracy: over the parts in the ground truth.
        mean_precision: over the predicted parts; 0 if there are none.
    """

    iou: Doubles
    accuracy: Doubles
    precision: Doubles
    mean_iou: float
    mean_accuracy: float
    mean_precision: float


def majority_vote(joint: Ints, empty: int) -> Ints:
    """(K,) int64: the part of which each cluster covers the most pixels, not counting the background.

    Args:
        joint: (K + 1, P + 1) pixel counts.
        empty: the part given to a cluster that covers no part (P = background).
    """
    votes = joint[:-1, :-1]
    return np.where(votes.sum(1) > 0, votes.argmax(1), empty).astype(np.int64)


def confusion(joint: Ints, vote: Ints) -> Ints:
    """(P + 1, P + 1) int64 pixels, predicted part × true part, (background, background) set to 0."""
    num_parts = joint.shape[1] - 1
    counts = np.zeros((num_parts + 1, num_parts + 1), np.int64)
    np.add.at(counts, np.append(vote, num_parts), joint)
    counts[-1, -1] = 0
    return counts


def class_scores(counts: Ints) -> ClassScores:
    """Scores from one :func:`confusion`. IoU of a part = tp / (true + predicted − tp)."""
    hit = np.diag(counts)[:-1].astype(np.float64)
    true, predicted = counts.sum(0)[:-1], counts.sum(1)[:-1]
    is_true, is_predicted = true > 0, predicted > 0
    iou = _ratio(is_true, hit, true + predicted - hit)
    accuracy = _ratio(is_true, hit, true)
    precision = _ratio(is_predicted, hit, predicted)
    return ClassScores(
        iou,
        accuracy,
        precision,
        float(np.nansum(iou) / max(1, (is_true | is_predicted).sum())),
        float(np.nansum(accuracy) / max(1, is_true.sum())),
        float(np.nansum(precision) / max(1, is_predicted.sum())),
    )


def _ratio(is_counted: npt.NDArray[np.bool_], numerator: Doubles, denominator: npt.NDArray[np.generic]) -> Doubles:
    """NaN where ``is_counted`` is False."""
    ratio = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=ratio, where=is_counted)
    return ratio
