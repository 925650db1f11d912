"""What a network's queries mean: proposals, or the parts of an object class, for inference and trainings alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore import Rows
from schemas.stages import PredictSettings, ProposalsSettings
from schemas.tables import PROPOSALS
from stages.mask_columns import stacked_columns
from stages.models.inference import Found

__all__ = ["chances", "parts_of", "proposals_of"]

Floats = npt.NDArray[np.float32]


def proposals_of(image_id: int, found: Found, settings: ProposalsSettings) -> Rows:
    """Rows of ``proposals``, best first: every query that scores above the floor and has a pixel.

    The score is 1 - probability of "no object".
    """
    scores = 1 - found.classes[:, -1]
    best = np.argsort(-scores, kind="stable")
    best = best[scores[best] > settings.min_score]
    columns = stacked_columns((stack > 0.5 for _, stack in found.masks(best)), found.size)
    kept = np.flatnonzero(columns["area"])[: settings.max_proposals]
    columns |= {"image_id": image_id, "proposal_id": best, "score": scores[best]}
    columns |= {"feature": found.features[best].astype(np.float16)}
    return Rows.filled(PROPOSALS, len(best), columns).take(kept)


def chances(found: Found) -> Floats:
    """(K, H, W) float32: of each class at each pixel, the sum over queries of class x mask probability."""
    chance = np.zeros((found.classes.shape[1] - 1, *found.size), np.float32)
    for queries, probabilities in found.masks(np.arange(len(found.classes))):
        chance += np.tensordot(found.classes[queries, :-1].T, probabilities, 1)
    return chance


def parts_of(chance: Floats, settings: PredictSettings) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The (M,) numbers of the parts that are large enough, and their (M, H, W) masks.

    A pixel is of its likeliest part, if the chance of that is above the threshold.
    """
    stack = (chance.argmax(0) == np.arange(len(chance))[:, None, None]) & (chance > settings.threshold)
    parts = np.flatnonzero(stack.mean((1, 2)) > settings.min_area_ratio)
    return parts, stack[parts]
