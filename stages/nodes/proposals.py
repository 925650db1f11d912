"""Proposals: every query of the proposal model that scores above a floor, with its mask, score and feature.

They are stored once; ranking and labelling read them and do not run the network again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pdstore import Rows
from schemas.stages import ProposalsSettings
from schemas.tables import PROPOSALS
from stages.fitting import fitting
from stages.mask_columns import stacked_columns
from stages.models.inference import Found, Inference
from stages.source.frames import frame_side
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

Pixels = npt.NDArray[np.uint8]


def start(settings: ProposalsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """The score of a proposal is 1 - probability of "no object"."""
    network = Inference(setup.models["model"], setup.device, settings.long_side, settings.precision)

    def compute(ids: list[int], pictures: list[Pixels]) -> list[Rows]:
        found = network.queries(pictures)
        return [_rows(image_id, queries, settings) for image_id, queries in zip(ids, found, strict=True)]

    def run(unit: Unit) -> Output:
        batches = unit.own_block.batches(settings.batch_size, network.shape, longest=frame_side(settings.long_side))
        proposals = [rows for _, rows in fitting(unit, batches, compute)]
        return Output(Rows.concat(PROPOSALS, proposals).sorted("image_id", "proposal_id"))

    return run


def _rows(image_id: int, queries: Found, settings: ProposalsSettings) -> Rows:
    scores = 1 - queries.classes[:, -1]
    best = np.argsort(-scores, kind="stable")
    best = best[scores[best] > settings.min_score]
    columns = stacked_columns((stack > 0.5 for _, stack in queries.masks(best)), queries.size)
    kept = np.flatnonzero(columns["area"])[: settings.max_proposals]
    columns |= {"image_id": image_id, "proposal_id": best, "score": scores[best]}
    columns |= {"feature": queries.features[best].astype(np.float16)}
    return Rows.filled(PROPOSALS, len(best), columns).take(kept)
