"""How the two evaluation protocols differ. Source: the evaluators of the original code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["HONEST", "PROTOCOLS", "REFERENCE", "Protocol"]


@dataclass(frozen=True)
class Protocol:
    """What a protocol does to the predictions of an image before counting them.

    Attributes:
        cuts_to_object: whether predictions are cut to the ground-truth object mask.
        min_iou: for segmentation, a prediction is dropped unless its best IoU with a part exceeds this.
        min_iou_recall: the same for average recall.
        empty_vote: the part given to a cluster without votes.
        splits: whether some images give the vote and the others the scores.
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
