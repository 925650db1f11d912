"""The permutohedral lattice and mean-field inference in plain Python and NumPy, as slow as they are simple."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Vertex = tuple[int, ...]


def simplex(point: np.ndarray) -> dict[Vertex, float]:
    """The d + 1 vertices around a point of d coordinates, with the point's barycentric coordinates."""
    d = len(point)
    scaled = [point[i] * np.sqrt(2 / 3) * (d + 1) / np.sqrt((i + 1) * (i + 2)) for i in range(d)]
    lifted = np.array([sum(scaled[j:]) - (j * scaled[j - 1] if j else 0) for j in range(d + 1)])
    corner = np.round(lifted / (d + 1)) * (d + 1)
    order = np.argsort(corner - lifted, kind="stable")
    excess = round(corner.sum() / (d + 1))
    if excess > 0:
        corner[order[-excess:]] -= d + 1
    elif excess < 0:
        corner[order[:-excess]] += d + 1
    order = np.argsort(corner - lifted, kind="stable")
    rest = (lifted - corner)[order] / (d + 1)
    shares = {tuple(corner.astype(int).tolist()): 1 - rest[0] + rest[-1]}
    for k in range(1, d + 1):
        vertex = corner + k
        vertex[order[-k:]] -= d + 1
        shares[tuple(vertex.astype(int).tolist())] = rest[d - k] - rest[d - k + 1]
    return shares


def blurred(values: dict[Vertex, np.ndarray], axis: int) -> dict[Vertex, np.ndarray]:
    """One step of the blur. Vertices that hold nothing are not in the lattice, and get nothing."""
    found = {}
    for vertex, value in values.items():
        one = tuple(c + 1 - (i == axis) * len(vertex) for i, c in enumerate(vertex))
        other = tuple(c - 1 + (i == axis) * len(vertex) for i, c in enumerate(vertex))
        found[vertex] = value + 0.5 * (values.get(one, 0) + values.get(other, 0))
    return found


def kernel(points: np.ndarray) -> np.ndarray:
    """(d, N) points -> (N, N): how much of each point's value reaches each point."""
    d, n = points.shape
    shares, values = [simplex(point) for point in points.T], {}
    for number, of_point in enumerate(shares):
        for vertex, share in of_point.items():
            values.setdefault(vertex, np.zeros(n))[number] += share
    for axis in range(d + 1):
        values = blurred(values, axis)
    rows = [sum(share * values[vertex] for vertex, share in of_point.items()) for of_point in shares]
    return np.array(rows) / (1 + 2.0**-d)


def normalised(matrix: np.ndarray) -> np.ndarray:
    """Symmetric normalisation."""
    factor = 1 / np.sqrt(matrix.sum(1))
    return factor[:, None] * matrix * factor


def mean_field(
    labels: np.ndarray, num_labels: int, gt_prob: float, kernels: Sequence[tuple[np.ndarray, float]], iterations: int
) -> np.ndarray:
    """(N, num_labels) marginals, from normalised (N, N) kernels with their weights."""
    evidence = np.full((len(labels), num_labels), np.log((1 - gt_prob) / (num_labels - 1)))
    evidence[np.arange(len(labels)), labels] = np.log(gt_prob)
    chances = softmax(evidence)
    for _ in range(iterations):
        chances = softmax(evidence + sum(weight * matrix @ chances for matrix, weight in kernels))
    return chances


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
