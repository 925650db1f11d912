"""Answers of a network by NumPy on the pixels of all masks, which tests and benchmarks compare with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore import Ragged, Rows, masks
from schemas.stages import PredictSettings, ProposalsSettings
from schemas.tables import PROPOSALS
from stages.models.inference import Found

__all__ = ["chances", "parts_of", "proposals_of"]

Floats = npt.NDArray[np.float32]


def proposals_of(image_id: int, found: Found, settings: ProposalsSettings) -> Rows:
    """Rows of ``proposals``, best first: every query that scores above the floor and has a pixel."""
    scores = 1 - found.classes[:, -1]
    best = np.argsort(-scores, kind="stable")
    best = best[scores[best] > settings.min_score]
    areas, strings = np.zeros(0, int), list[bytes]()
    for _, probabilities in found.masks(best):
        stack = probabilities > 0.5
        areas = np.append(areas, stack.sum((1, 2)))
        strings += masks.encode(stack)
    columns = {"area": areas, "height": found.size[0], "width": found.size[1], "rle": Ragged.from_list(strings)}
    columns |= {"image_id": image_id, "proposal_id": best, "score": scores[best]}
    columns |= {"feature": found.features[best].astype(np.float16)}
    return Rows.filled(PROPOSALS, len(best), columns).take(np.flatnonzero(areas)[: settings.max_proposals])


def chances(found: Found) -> Floats:
    """(K, H, W) float32: of each class at each pixel, the sum over queries of class x mask probability."""
    chance = np.zeros((found.classes.shape[1] - 1, *found.size), np.float32)
    for queries, probabilities in found.masks(np.arange(len(found.classes))):
        chance += np.tensordot(found.classes[queries, :-1].T, probabilities, 1)
    return chance


def parts_of(chance: Floats, settings: PredictSettings) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The (M,) numbers of the parts that are large enough, and their (M, H, W) masks."""
    stack = (chance.argmax(0) == np.arange(len(chance))[:, None, None]) & (chance > settings.threshold)
    parts = np.flatnonzero(stack.mean((1, 2)) > settings.min_area_ratio)
    return parts, stack[parts]
