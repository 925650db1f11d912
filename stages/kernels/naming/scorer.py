"""What a ranking has learnt of a class: a linear score of a segment's feature and place for every cluster.

P segments, D feature size, K clusters, R >= K centres, U = D + 5.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.kernels.naming.matching import affinities, match, match_each
from stages.kernels.naming.place import NUM_PLACES, Joined, split
from stages.kernels.naming.space import inputs

__all__ = ["REPEATS", "SCORERS", "Scorer", "pack", "unpack"]

SCORERS = "scorers.npz"
"""The file beside the rows of ``clusters`` that holds the scorers of a unit's classes."""
REPEATS = 0.5
"""A cluster that more than this share of its objects have several times may repeat in an object."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scorer:
    """The scorers of one object class.

    Attributes:
        weights: (R, U) float32. bias: (R,) float32. parts: (R,) int64, the cluster that each row is of, 0..K - 1.
        shares: (K,) float32, of the objects that have the cluster, the share that has it several times.
        normalize, centre: how features come in (:func:`~stages.kernels.naming.space.inputs`).
        matching: segments of an object are matched with clusters.
    """

    weights: Floats
    bias: Floats
    parts: Ints
    shares: Floats
    normalize: bool
    centre: bool
    matching: bool

    @property
    def num_features(self) -> int:
        """D."""
        return int(self.weights.shape[1]) - NUM_PLACES

    def scores(self, features: npt.ArrayLike, places: npt.ArrayLike) -> Floats:
        """(P, K) float32 of the segments of one object: minus a squared distance, up to a number per segment."""
        return self._scores(features, places, np.zeros(len(np.asarray(features)), np.int64))

    def clusters(self, vectors: Joined) -> Ints:
        """(P,) int64: the clusters of joined vectors (P, D + 6), object after object."""
        features, places, groups = split(vectors)
        table = self._scores(features, places, groups)
        return match_each(table, groups, self.shares > REPEATS) if self.matching else table.argmax(1).astype(np.int64)

    def _scores(self, features: npt.ArrayLike, places: npt.ArrayLike, groups: Ints) -> Floats:
        data = inputs(features, places, groups, normalize=self.normalize, centre=self.centre)
        of_rows = data @ self.weights.T + self.bias
        found = np.full((len(data), len(self.shares)), -np.inf, np.float32)
        for row, part in enumerate(self.parts.tolist()):
            np.maximum(found[:, part], of_rows[:, row], out=found[:, part])
        return found

    def affinities(self, features: npt.ArrayLike, places: npt.ArrayLike) -> Floats:
        """(P, K) float32 of the segments of one object: a softmax over the scores.

        With matching it is 0 but for the cluster that the segment is matched with.
        """
        table = self.scores(features, places)
        if self.matching:
            may_repeat = self.shares > REPEATS
            return affinities(table, match(table, may_repeat), may_repeat)
        grown = np.exp(table - table.max(1, keepdims=True, initial=-np.inf))
        return np.asarray(grown / grown.sum(1, keepdims=True), np.float32)


def pack(scorers: Mapping[int, Scorer]) -> bytes:
    """The scorers of several classes (class_id -> scorer, at least one) as the file :data:`SCORERS`."""
    several = list(scorers.values())
    content: dict[str, Any] = {
        "category_id": np.repeat(list(scorers), [len(s.bias) for s in several]),
        "cluster": np.concatenate([s.parts for s in several]),
        "weights": np.concatenate([s.weights for s in several]),
        "bias": np.concatenate([s.bias for s in several]),
        "share": np.concatenate([s.shares[s.parts] for s in several]),
        "flags": np.array([several[0].normalize, several[0].centre, several[0].matching]),
    }
    sink = io.BytesIO()
    np.savez(sink, **content)
    return sink.getvalue()


def unpack(data: bytes) -> dict[int, Scorer]:
    """The scorers in such a file, by class_id. Raises ValueError if it is none."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            read = {name: file[name] for name in file.files}
        category, flags = read["category_id"], [bool(flag) for flag in read["flags"]]
        found = {}
        for class_id in np.unique(category).tolist():
            own = category == class_id
            parts = read["cluster"][own].astype(np.int64)
            shares = np.zeros(int(parts.max()) + 1, np.float32)
            shares[parts] = read["share"][own]
            found[class_id] = Scorer(read["weights"][own], read["bias"][own], parts, shares, *flags)
    except Exception as error:
        # NumPy reads archives and headers with the parsers of Python, each of which has errors of its own.
        raise ValueError(f"not a file of scorers: {error}") from error
    return found
