"""The majority vote, the confusion of parts, and the scores that follow from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stages.kernels.confusion import class_scores, confusion, majority_vote

Ints = np.ndarray[Any, np.dtype[np.int64]]
BACKGROUND = 2
# Three clusters and "none" × two parts and the background.
JOINT = np.array([[5, 1, 90], [2, 7, 0], [0, 0, 40], [3, 0, 800]])


def test_a_cluster_votes_for_the_part_it_covers_most() -> None:
    """Pixels of the background do not vote; a cluster without other pixels becomes ``empty``."""
    assert majority_vote(JOINT, BACKGROUND).tolist() == [0, 1, BACKGROUND]
    assert majority_vote(JOINT, 0).tolist() == [0, 1, 0]


def test_the_confusion_adds_the_clusters_of_a_part() -> None:
    """Rows are predicted parts, columns true parts; background on background does not count."""
    counts = confusion(JOINT, np.array([0, 0, BACKGROUND]))
    assert counts.tolist() == [[7, 8, 90], [0, 0, 0], [3, 0, 0]]


def test_scores_follow_from_the_confusion() -> None:
    """IoU = tp / (true + predicted − tp), accuracy = tp / true, precision = tp / predicted."""
    scores = class_scores(np.array([[6, 2, 4], [1, 3, 0], [3, 0, 0]]))
    assert scores.iou.tolist() == pytest.approx([6 / 16, 3 / 6])
    assert scores.accuracy.tolist() == pytest.approx([6 / 10, 3 / 5])
    assert scores.precision.tolist() == pytest.approx([6 / 12, 3 / 4])
    assert scores.mean_iou == pytest.approx((6 / 16 + 3 / 6) / 2)


def test_parts_that_do_not_count_are_nan() -> None:
    """An absent part has no IoU, and lowers the mean only if it was predicted; nothing at all scores 0."""
    scores = class_scores(np.array([[5, 0, 0], [5, 0, 0], [0, 0, 0]]))
    assert np.isnan(scores.iou[1]) and np.isnan(scores.accuracy[1]) and scores.precision[1] == 0
    assert (scores.iou[0], scores.mean_iou, scores.mean_accuracy, scores.mean_precision) == (0.5, 0.25, 0.5, 0.5)
    nothing = class_scores(np.zeros((3, 3), np.int64))
    assert np.isnan(nothing.iou).all() and nothing.mean_iou == nothing.mean_precision == 0


@given(joint=arrays(np.int64, (4, 3), elements=st.integers(0, 10**6)))
def test_every_pixel_is_counted_once(joint: Ints) -> None:
    """The confusion keeps the pixels of each true part, and all scores lie in 0..1."""
    counts = confusion(joint, majority_vote(joint, BACKGROUND))
    assert counts[:, :-1].sum(0).tolist() == joint[:, :-1].sum(0).tolist()
    scores = class_scores(counts)
    for values in (scores.iou, scores.accuracy, scores.precision):
        assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()
    is_true = ~np.isnan(scores.iou)
    assert (scores.iou[is_true] <= scores.accuracy[is_true]).all()
