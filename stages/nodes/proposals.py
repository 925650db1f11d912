"""Proposals: every query of the proposal model above a score floor, with its mask, score and feature.

They are stored once; ranking and labelling read them and never run the network again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pdstore import Rows, masks
from schemas.stages import ProposalsSettings
from schemas.tables import PROPOSALS
from stages.models.inference import Found, Inference
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: ProposalsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Score: 1 - probability of "no object"."""
    network = Inference(setup.models["model"], setup.device, settings.long_side)

    def run(unit: Unit) -> Output:
        records: list[dict[str, Any]] = []
        for ids, pictures in unit.batches(settings.batch_size, network.shape):
            for image_id, found in zip(ids, network.queries(pictures), strict=True):
                records += _rows(image_id, found, settings)
        records.sort(key=lambda row: (row["image_id"], row["proposal_id"]))
        return Output(Rows.from_records(PROPOSALS, records))

    return run


def _rows(image_id: int, found: Found, settings: ProposalsSettings) -> list[dict[str, Any]]:
    stack = found.masks > 0.5
    scores, areas = 1 - found.classes[:, -1], stack.sum((1, 2))
    best = np.argsort(-scores, kind="stable")
    kept = [i for i in best if scores[i] > settings.min_score and areas[i]][: settings.max_proposals]
    rle = masks.encode(stack[kept])
    return [
        {
            "image_id": image_id,
            "proposal_id": int(query),
            "score": float(scores[query]),
            "area": int(areas[query]),
            "height": stack.shape[1],
            "width": stack.shape[2],
            "rle": rle[i],
            "feature": found.features[query].astype(np.float16),
        }
        for i, query in enumerate(kept)
    ]
