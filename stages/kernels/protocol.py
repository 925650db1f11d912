"""What tells the two evaluation protocols apart. Source: the original's evaluators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["HONEST", "PROTOCOLS", "REFERENCE", "Protocol"]


@dataclass(frozen=True)
class Protocol:
    """What a protocol does to the predictions of an image before it counts them.

    Attributes:
        cuts_to_object: predictions are cut to the ground-truth object mask.
        min_iou: for segmentation, predictions whose best IoU with a part is not above it are dropped.
        min_iou_recall: the same for average recall.
        empty_vote: what a cluster without votes becomes.
        splits: the vote is taken on some images and the scores on the others.
    """

    name: str
    cuts_to_object: bool
    min_iou: float
    min_iou_recall: float
    empty_vote: Literal["first part", "background"]
    splits: bool


REFERENCE = Protocol("reference", True, 0.1, 0.001, "first part", splits=False)
HONEST = Protocol("honest", False, -1.0, -1.0, "background", splits=True)
PROTOCOLS = {"honest": (HONEST,), "reference": (REFERENCE,), "both": (HONEST, REFERENCE)}
