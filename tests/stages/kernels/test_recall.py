"""Greedy matching of proposals with parts."""

from __future__ import annotations

import numpy as np

from stages.kernels.recall import greedy_match, recalled


def test_best_pair_first_and_each_once() -> None:
    """The highest IoU is taken first, even if that leaves another part without its best proposal."""
    iou = np.array([[0.9, 0.8], [0.6, 0.1]])
    assert greedy_match(iou).tolist() == [0.9, 0.1]


def test_more_parts_than_proposals() -> None:
    """Parts without a match have IoU 0, and without proposals no part has a match."""
    assert greedy_match(np.array([[0.5, 0.7, 0.2]])).tolist() == [0, 0.7, 0]
    assert greedy_match(np.zeros((0, 2))).tolist() == [0, 0]


def test_thresholds_are_inclusive() -> None:
    """An IoU of exactly .5 counts at threshold .5, and a perfect IoU at all ten."""
    assert recalled(np.array([[0.5]]), [1.0], (1,)).tolist() == [[1] + [0] * 9]
    assert recalled(np.array([[1.0]]), [1.0], (1,)).tolist() == [[1] * 10]


def test_limit_takes_the_best_scored() -> None:
    """Only the n best-scored proposals may match."""
    iou = np.array([[1.0], [0.0]])
    assert recalled(iou, [0.1, 0.9], (1, 2, 100)).sum(1).tolist() == [0, 10, 10]
    assert recalled(np.zeros((0, 1)), [], (1, 2)).sum() == 0
