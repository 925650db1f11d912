"""One object per image, by classical saliency: it needs no weights, and does not know what the object is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from pdstore.errors import UsageError
from schemas.stages import DeticSettings
from stages.detectors.protocol import Candidates, Pixels, Words
from stages.kernels.saliency import salient_object
from stages.unit import Setup

__all__ = ["SaliencyDetector", "start"]


def start(settings: DeticSettings, setup: Setup) -> SaliencyDetector:
    """A ready detector. Raises UsageError if people are wanted."""
    _check_mode(settings)
    return SaliencyDetector()


class SaliencyDetector:
    """Finds the one object that stands out, whatever the words."""

    def shape(self, pixels: Pixels) -> Hashable:
        return ()

    def look(self, pictures: Sequence[Pixels]) -> _Seen:
        return _Seen(pictures)

    def sibling(self, settings: DeticSettings, setup: Setup) -> SaliencyDetector:
        _check_mode(settings)
        return self


def _check_mode(settings: DeticSettings) -> None:
    if settings.mode != "max-gt-label":
        fix = "Use another backend for human-only"
        raise UsageError(f"expected mode max-gt-label with backend saliency, found {settings.mode}", "detic.mode", fix)


class _Seen:
    def __init__(self, pictures: Sequence[Pixels]) -> None:
        self._pictures = pictures

    def find(self, requests: Mapping[int, Words]) -> dict[int, Candidates]:
        salient = {number: salient_object(self._pictures[number]) for number in requests}
        return {n: Candidates(found.mask[None], np.array([found.score], np.float32)) for n, found in salient.items()}

    def seen_by(self, sibling: SaliencyDetector) -> _Seen:
        return self
