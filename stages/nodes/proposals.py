"""Proposals: every query of the proposal model that scores above a floor, with its mask, score and feature.

They are stored once; ranking and labelling read them and do not run the network again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdstore import Rows
from schemas.stages import ProposalsSettings
from schemas.tables import PROPOSALS
from stages.mask_columns import mask_columns
from stages.models.inference import Found, Inference
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: ProposalsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """The score of a proposal is 1 - probability of "no object"."""
    network = Inference(setup.models["model"], setup.device, settings.long_side, settings.precision)

    def run(unit: Unit) -> Output:
        proposals: list[Rows] = []
        for ids, pictures in unit.own_block.batches(settings.batch_size, network.shape):
            for image_id, queries in zip(ids, network.queries(pictures), strict=True):
                proposals.append(_rows(image_id, queries, settings))
        return Output(Rows.concat(PROPOSALS, proposals).sorted("image_id", "proposal_id"))

    return run


def _rows(image_id: int, queries: Found, settings: ProposalsSettings) -> Rows:
    stack = queries.masks > 0.5
    scores = 1 - queries.classes[:, -1]
    is_kept = (scores > settings.min_score) & stack.any((1, 2))
    best = [i for i in np.argsort(-scores, kind="stable") if is_kept[i]][: settings.max_proposals]
    columns = mask_columns(stack[best])
    columns |= {"image_id": image_id, "proposal_id": np.array(best, int), "score": scores[best]}
    columns |= {"feature": queries.features[best].astype(np.float16)}
    return Rows.filled(PROPOSALS, len(best), columns)
