"""A small Mask2Former with one output class per word.

The score of a candidate is its class probability × the mean mask probability inside its mask.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pdstore.errors import UsageError
from schemas.stages import DeticSettings
from stages.detectors.protocol import Candidates, Pixels, Words
from stages.stage import CLASS_NAMES
from stages.unit import Setup

if TYPE_CHECKING:
    from stages.models.inference import Found, Inference

__all__ = ["TinyDetector", "start"]


def start(settings: DeticSettings, setup: Setup) -> TinyDetector:
    """A ready detector.

    Raises:
        UsageError: if there is no model, or if people are wanted and the model does not know them.
    """
    from stages.models.inference import Inference

    if "model" not in setup.models:
        fix = "Give it a trained segmenter: inputs: {model: NODE}, or choose another backend"
        raise UsageError("backend tiny needs an input 'model', but there is none", "detic", fix)
    names = json.loads((setup.models["model"] / CLASS_NAMES).read_text())
    _check_words(settings, names)
    network = Inference(setup.models["model"], setup.device, settings.long_side, settings.precision)
    return TinyDetector(network, names, settings.min_score)


class TinyDetector:
    """Makes a candidate of each query of the network whose class probability alone exceeds ``min_score``."""

    def __init__(self, network: Inference, names: Sequence[str], min_score: float) -> None:
        self._network, self._names, self.min_score = network, list(names), min_score

    def shape(self, pixels: Pixels) -> Hashable:
        return self._network.shape(pixels)

    def look(self, pictures: Sequence[Pixels]) -> _Seen:
        return _Seen(self._network.queries(pictures), self._names, self.min_score)

    def sibling(self, settings: DeticSettings, setup: Setup) -> TinyDetector:
        _check_words(settings, self._names)
        return TinyDetector(self._network, self._names, settings.min_score)


class _Seen:
    def __init__(self, found: Sequence[Found], names: Sequence[str], min_score: float) -> None:
        self._found, self._names, self._min_score = found, names, min_score

    def find(self, requests: Mapping[int, Words]) -> dict[int, Candidates]:
        return {number: self._candidates(self._found[number], words) for number, words in requests.items()}

    def seen_by(self, sibling: TinyDetector) -> _Seen:
        return _Seen(self._found, self._names, sibling.min_score)

    def _candidates(self, found: Found, words: Words) -> Candidates:
        columns = [self._names.index(word) for word in words if word in self._names]
        chances = found.classes[:, columns].sum(1) if words else found.classes[:, :-1].max(1)
        wanted = np.flatnonzero(chances > self._min_score)
        stack, inside = np.zeros((len(wanted), *found.size), bool), np.zeros(len(wanted), np.float32)
        for numbers, probabilities in found.masks(wanted):
            place = np.searchsorted(wanted, numbers)
            stack[place] = probabilities > 0.5
            inside[place] = (probabilities * stack[place]).sum((1, 2)) / np.maximum(stack[place].sum((1, 2)), 1)
        scores = (chances[wanted] * inside).astype(np.float32)
        order = np.argsort(-scores, kind="stable")
        return Candidates(stack[order], scores[order])


def _check_words(settings: DeticSettings, names: Sequence[str]) -> None:
    if settings.mode == "human-only" and not set(settings.words) & set(names):
        fix = f"Train it on people, or set detic.words to some of {names}"
        raise UsageError(
            f"expected a segmenter that knows one of {list(settings.words)}, found one that knows {names}", "detic", fix
        )
