"""What every detector can do: look at pictures once, then say where in them the things asked for are."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["ANY", "Candidates", "Detector", "Seen", "Words"]

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""

Words = tuple[str, ...]
"""Names that stand for one thing: an object of any of them is wanted."""
ANY: Words = ()
"""No words: an object of any class."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """What a detector holds to be the thing asked for; none means that it knows of none.

    Attributes:
        masks: (N, H, W) bool, original image pixels.
        scores: (N,) float32, 0 to 1, best first.
    """

    masks: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float32]


class Seen(Protocol):
    """A batch of pictures that a detector has looked at: the costly part is done."""

    def find(self, asked: Mapping[int, Words]) -> dict[int, Candidates]:
        """Number of a picture in the batch -> what is wanted there, to the candidates found.

        Candidates that could not be kept may be left out: those beyond ``max_objects``, and those that score no
        more than ``min_score``.
        """
        ...


class Detector(Protocol):
    """A backend, ready to use."""

    def shape(self, pixels: Pixels) -> Hashable:
        """Pictures of equal shape can be looked at together."""
        ...

    def look(self, pictures: Sequence[Pixels]) -> Seen: ...
