"""Proposals: every query of the proposal model that scores above a floor, with its mask, score and feature.

They are stored once; ranking and labelling read them and do not run the network again. The final model can propose,
too: its queries are those for the class of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from pdstore import Rows
from pdstore.errors import UsageError
from schemas.stages import ProposalsSettings
from schemas.tables import PROPOSALS
from stages.fitting import finished, fitting
from stages.models.answers import BestQueries, proposal_rows, query_answers
from stages.models.inference import Inference
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

Pixels = npt.NDArray[np.uint8]


def start(settings: ProposalsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """The score of a proposal is 1 - probability of "no object".

    In a class-specific head this is the probability of any part of the image's class; an image without a class is then
    left out.

    Raises:
        UsageError: the head was made for other classes.
    """
    network = Inference(setup.models["model"], setup.device, settings.long_side, settings.precision)
    num_objects = network.network.num_objects
    if num_objects and num_objects != len(setup.classes):
        problem = f"the model's head is for {num_objects} classes, but the store has {len(setup.classes)}"
        raise UsageError(problem, "input model", "Take a model that was trained in this store, or a proposal model")

    def finish(image_id: int, best: Callable[[], BestQueries]) -> Rows:
        return proposal_rows(image_id, best(), settings)

    def run(unit: Unit) -> Output:
        classes = _classes(unit) if num_objects else None

        def compute(ids: list[int], pictures: list[Pixels]) -> Iterator[Callable[[], BestQueries]]:
            of = None if classes is None else [classes[image_id] for image_id in ids]
            return query_answers(network, pictures, settings, of)

        batches = unit.own_block.batches(settings.batch_size, network.shape, classes, longest=network.longest)
        found = finished(unit, fitting(unit, batches, compute), finish, ahead=settings.batch_size)
        proposals = [rows for _, rows in found]
        return Output(Rows.concat(PROPOSALS, proposals).sorted("image_id", "proposal_id"))

    return run


def _classes(unit: Unit) -> dict[int, int]:
    """image_id -> its class; an image without one becomes a row of ``errors``."""
    classes = {image_id: number for image_id, (number, _) in unit.own_block.classes.items()}
    for image_id in (image_id for image_id, number in classes.items() if number < 0):
        unit.reject(image_id, "no_class", "the model proposes parts of a given class, and the image has no class")
    return {image_id: number for image_id, number in classes.items() if number >= 0}
