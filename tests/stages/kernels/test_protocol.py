"""How the two evaluation protocols differ."""

from __future__ import annotations

import dataclasses

import pytest

from stages.kernels.protocol import HONEST, PROTOCOLS, REFERENCE


def test_the_reference_protocol_has_the_oracles_of_the_original() -> None:
    """It cuts predictions to the true object, drops poor ones, and votes on the scored images."""
    assert REFERENCE.cuts_to_object and not REFERENCE.splits
    assert (REFERENCE.min_iou, REFERENCE.min_iou_recall, REFERENCE.empty_vote) == (0.1, 0.001, "first part")


def test_the_honest_protocol_uses_no_ground_truth() -> None:
    """No prediction has an IoU low enough to be dropped, and an empty cluster is background."""
    assert HONEST.splits and not HONEST.cuts_to_object
    assert max(HONEST.min_iou, HONEST.min_iou_recall) < 0 and HONEST.empty_vote == "background"


def test_a_protocol_is_chosen_by_name() -> None:
    """Each name stands for the protocol of that name, and ``both`` for the two of them."""
    assert {name: [p.name for p in chosen] for name, chosen in PROTOCOLS.items()} == {
        "honest": ["honest"],
        "reference": ["reference"],
        "both": ["honest", "reference"],
    }


def test_a_protocol_does_not_change() -> None:
    """It is part of the settings of a score, so it cannot be modified."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        HONEST.min_iou = 0.5  # type: ignore[misc] # the assignment is what is tested
