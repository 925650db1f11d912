"""The interface of every detector: look at pictures once, then find the requested objects in them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from schemas.stages import DeticSettings
from stages.unit import Setup

__all__ = ["ANY", "Candidates", "Detector", "Seen", "Words"]

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""

Words = tuple[str, ...]
"""Names of one class of objects: an object that fits any of them is wanted."""
ANY: Words = ()
"""No words: an object of any class is wanted."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The objects that a detector has found for one request; N may be 0.

    Attributes:
        masks: (N, H, W) bool, in the pixels of the picture.
        scores: (N,) float32, 0 to 1, best first.
    """

    masks: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float32]


class Seen(Protocol):
    """A batch of pictures that a detector has looked at: the expensive part is done."""

    def find(self, requests: Mapping[int, Words]) -> dict[int, Candidates]:
        """The candidates in each of the requested pictures, by the number of the picture in the batch.

        Args:
            requests: number of a picture in the batch -> names of the wanted objects.

        A backend may leave out candidates that would not be kept: those beyond ``max_objects``, and those that score
        no more than ``min_score``.
        """
        ...

    def seen_by(self, sibling: Any) -> Seen:
        """The same pictures for a detector that :meth:`Detector.sibling` made: the expensive part is not done again."""
        ...


class Detector(Protocol):
    """A backend that is ready to use."""

    def shape(self, pixels: Pixels) -> Hashable:
        """A key: pictures with equal keys can be looked at together."""
        ...

    def look(self, pictures: Sequence[Pixels]) -> Seen: ...

    def sibling(self, settings: DeticSettings, setup: Setup) -> Detector:
        """A detector with the same network that is asked for something else.

        Args:
            settings: they differ only in the stage's ``late_settings``, such as ``mode`` and ``min_score``.

        Raises:
            UsageError: this cannot be asked, as in ``start``.
        """
        ...
