"""Answers of a network, for tests that say what it answers or compare all of its masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from stages.models.inference import Found

__all__ = ["answer", "every_mask"]

Floats = npt.NDArray[np.float32]


def answer(classes: Floats, probabilities: Floats, features: Floats) -> Found:
    """What a network says whose (Q, H, W) mask probabilities are these, at the size of the picture."""
    logits = torch.from_numpy(probabilities.clip(1e-30, 1 - 6e-8)).logit()
    return Found(classes, features, logits, probabilities.shape[1:])


def every_mask(found: Found) -> Floats:
    """(Q, H, W) float32: the mask probabilities of all queries."""
    return np.concatenate([stack for _, stack in found.masks(range(len(found.classes)))])
