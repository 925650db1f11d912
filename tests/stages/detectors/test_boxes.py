from __future__ import annotations

import torch

from stages.detectors.boxes import best_boxes, from_centres

BOXES = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [0, 0, 10, 5]])


def test_a_box_on_a_better_one_is_dropped() -> None:
    """Two boxes with an overlap above 0.7 are the same object, and the better one is kept."""
    assert best_boxes(BOXES, torch.tensor([0.5, 0.9, 0.1, 0.3]), 0.0, 10).tolist() == [1, 3, 2]


def test_scores_and_number_limit_the_kept_boxes() -> None:
    """Boxes that score no more than the floor, or exceed the limit, are left out."""
    scores = torch.tensor([0.5, 0.9, 0.1, 0.3])
    assert best_boxes(BOXES, scores, 0.1, 10).tolist() == [1, 3]
    assert best_boxes(BOXES, scores, 0.0, 1).tolist() == [1]
    assert best_boxes(BOXES[:0], scores[:0], 0.0, 5).tolist() == []


def test_centres_become_corners() -> None:
    """Networks give centre and size; the rest of the code uses corners."""
    assert from_centres(torch.tensor([[5.0, 4, 2, 6]])).tolist() == [[4, 1, 6, 7]]
