"""Proposals: every query of the proposal model that scores above a floor, with its mask, score and feature.

They are stored once; ranking and labelling read them and do not run the network again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from pdstore import Rows
from schemas.stages import ProposalsSettings
from schemas.tables import PROPOSALS
from stages.fitting import finished, fitting
from stages.models.answers import BestQueries, best_queries, proposal_rows
from stages.models.inference import Inference
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

Pixels = npt.NDArray[np.uint8]


def start(settings: ProposalsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """The score of a proposal is 1 - probability of "no object"."""
    network = Inference(setup.models["model"], setup.device, settings.long_side, settings.precision)

    def compute(ids: list[int], pictures: list[Pixels]) -> Iterator[BestQueries]:
        return (best_queries(found, settings) for found in network.queries(pictures))

    def finish(image_id: int, best: BestQueries) -> Rows:
        return proposal_rows(image_id, best, settings)

    def run(unit: Unit) -> Output:
        batches = unit.own_block.batches(settings.batch_size, network.shape, longest=network.longest)
        found = finished(unit, fitting(unit, batches, compute), finish, ahead=settings.batch_size)
        proposals = [rows for _, rows in found]
        return Output(Rows.concat(PROPOSALS, proposals).sorted("image_id", "proposal_id"))

    return run
