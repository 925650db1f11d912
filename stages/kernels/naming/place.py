"""The place and size of a segment in its object's own frame, from the runs of both.

P segments, D feature size. A *joined vector* is a segment's feature and its place, in one row.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore import runs
from pdstore.runs import Runs

__all__ = ["NUM_PLACES", "Joined", "joined", "places", "split"]

NUM_PLACES = 5
"""Numbers of a place: x, y, spread in x, spread in y, log area ratio."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Joined = npt.NDArray[np.float16]
"""(P, D + 6): the feature, the place, and 1 in the first segment of each object, 0 in its others."""


def places(masks: Runs, outline: Runs) -> Floats:
    """(P, 5) float32: where each segment lies in its object and how large it is, counting the pixels on the object.

    x and y are the centroid of the segment relative to that of the object, the spreads the standard deviations of its
    pixels; each is divided by the object's own standard deviation along that axis, so that neither the position nor the
    size nor the aspect ratio of the object matters. The last number is the natural logarithm of the segment's share of
    the object's area. A segment without a pixel on the object has zeros and the area ratio of one pixel.

    Args:
        masks: P masks; outline: one mask, the object, in the same frame.
    """
    own, whole = runs.moments(runs.intersect(masks, outline)), runs.moments(outline)[0]
    # An object of a single row or column has no extent along one axis; that of a pixel stands for it.
    extent = np.maximum(whole[3:5], 12**-0.5)
    centred = np.where(own[:, :1] > 0, own[:, 1:3] - whole[1:3], 0)
    ratio = np.maximum(own[:, :1], 1) / max(float(whole[0]), 1.0)
    return np.concatenate([centred / extent, own[:, 3:5] / extent, np.log(ratio)], 1).astype(np.float32)


def joined(features: npt.ArrayLike, masks: Runs, outline: Runs) -> Joined:
    """The joined vectors of all segments of one object: see :data:`Joined`."""
    vectors = np.asarray(features, np.float16)
    is_first = (np.arange(len(vectors)) == 0).astype(np.float16)
    return np.concatenate([vectors, places(masks, outline).astype(np.float16), is_first[:, None]], 1)


def split(vectors: Joined) -> tuple[Floats, Floats, Ints]:
    """Joined vectors of one object after the other -> features (P, D), places (P, 5), number of the object (P,)."""
    features, place = vectors[:, : -NUM_PLACES - 1], vectors[:, -NUM_PLACES - 1 : -1]
    groups = np.cumsum(vectors[:, -1] > 0) - 1
    return features.astype(np.float32), place.astype(np.float32), np.maximum(groups, 0).astype(np.int64)
