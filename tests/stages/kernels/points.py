"""Points to be divided, and how well they are."""

from __future__ import annotations

import numpy as np

__all__ = ["inertia", "mixture"]


def mixture(num_points: int, width: int, seed: int) -> np.ndarray:
    """(num_points, width) float32: mixtures of six kinds with noise, as features inside an object are."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(6, 0.3), num_points)
    return (shares @ rng.normal(size=(6, width)) + 0.3 * rng.normal(size=(num_points, width))).astype(np.float32)


def inertia(points: np.ndarray, centroids: np.ndarray) -> float:
    """The sum of the squared distances to the nearest centroid, in double precision."""
    exact, centres = points.astype(np.float64), centroids.astype(np.float64)
    return float(np.square(exact[:, None] - centres).sum(2).min(1).sum())
