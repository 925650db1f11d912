"""The space in which the segments of an object class are compared: features whitened, and places joined to them.

It is linear in the features and places, and so is the score of a cluster: z = A u + b, and -|z - m|^2 differs from
2 m·A u + 2 m·b - |m|^2 by |z|^2 alone, which is the same for every cluster.

P segments, D feature size, U = D + 5, E dimensions of the space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.kernels.clustering.kmeans import unit_length
from stages.kernels.naming.place import NUM_PLACES

__all__ = ["Space", "fit_space", "inputs", "means_of"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Space:
    """z = A u + b.

    Attributes:
        matrix: A, (E, U). offset: b, (E,).
    """

    matrix: Doubles
    offset: Doubles

    def points(self, vectors: npt.ArrayLike) -> Floats:
        """(P, E) float32 of vectors (P, U)."""
        return (np.asarray(vectors, np.float64) @ self.matrix.T + self.offset).astype(np.float32)

    def scorers(self, centres: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Weights (K, U) and biases (K,) of centres (K, E): W u + bias is -|z - m|^2 + |z|^2."""
        means = np.asarray(centres, np.float64)
        bias = 2 * means @ self.offset - np.square(means).sum(1)
        return (2 * means @ self.matrix).astype(np.float32), bias.astype(np.float32)


def inputs(
    features: npt.ArrayLike, places: npt.ArrayLike, groups: npt.ArrayLike, *, normalize: bool, centre: bool
) -> Floats:
    """(P, U) float32: what a space takes.

    An object may be seen from either side, so a segment's distance from the object's middle counts, not its side.

    Args:
        features: (P, D). places: (P, 5). groups: (P,) int, number of the segment's object, from 0.
        normalize: scale features to unit length. centre: subtract the mean feature of the object's segments.
    """
    vectors, place, group = np.asarray(features, np.float32), np.array(places, np.float32), np.asarray(groups, np.int64)
    vectors = unit_length(vectors) if normalize else vectors
    if centre and len(vectors):
        vectors = np.asarray(vectors - means_of(vectors, group, int(group.max()) + 1)[group], np.float32)
    place[:, 0] = np.abs(place[:, 0])
    return np.concatenate([vectors, place], 1).astype(np.float32)


def means_of(vectors: npt.ArrayLike, member: npt.ArrayLike, number: int) -> Doubles:
    """(number, E) float64: the mean of the vectors (P, E) of each member (P,) int; 0 of one without any."""
    points, index = np.asarray(vectors), np.asarray(member, np.int64)
    sums = np.zeros((number, points.shape[1]))
    np.add.at(sums, index, points)
    return np.asarray(sums / np.maximum(np.bincount(index, minlength=number), 1)[:, None])


def fit_space(vectors: npt.ArrayLike, *, whiten: int, place: float) -> Space:
    """The space of one object class.

    With ``whiten``, features become their first principal components, each scaled to a variance of 1. Of few segments
    the small variances are too small by chance; so each gets the mean variance times the number of components ÷ P
    added. Without it, features are scaled by one number, such that their first principal component has a variance of 1.
    Places are standardised and weighted.

    Args:
        vectors: (P, U) of :func:`inputs`.
        whiten: number of components; 0 for none. place: weight of places; 0 for none.
    """
    data = np.asarray(vectors, np.float64)
    mean, size = data.mean(0), data.shape[1] - NUM_PLACES
    centred = data - mean
    variances, axes = np.linalg.eigh(centred[:, :size].T @ centred[:, :size] / len(data))
    variances, axes = np.maximum(variances[::-1], 0), axes[:, ::-1].T
    if whiten:
        num = min(whiten, size, max(1, int((variances > 1e-9 * variances[0]).sum())))
        shrunk = variances[:num] + variances[:num].mean() * num / len(data)
        rows = axes[:num] * np.sign(axes[np.arange(num), np.abs(axes[:num]).argmax(1)])[:, None]
        of_features = rows / np.sqrt(np.maximum(shrunk, 1e-12))[:, None]
    else:
        of_features = np.eye(size) / np.sqrt(max(variances[0], 1e-12))
    spread = np.maximum(centred[:, size:].std(0), 1e-6)
    of_places = np.diag(place / spread) if place else np.zeros((0, NUM_PLACES))
    matrix = np.zeros((len(of_features) + len(of_places), data.shape[1]))
    matrix[: len(of_features), :size], matrix[len(of_features) :, size:] = of_features, of_places
    return Space(matrix, -matrix @ mean)
