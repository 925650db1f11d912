"""A permutohedral lattice: Gaussian filters of many values at points in d dimensions, in linear time.

Source: Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010. A
value at a point is shared out to the d + 1 vertices of the simplex around the point (splat), the vertices are blurred
along d + 1 axes with the weights 1/2, 1, 1/2, and the point takes the value between its vertices (slice).

A vertex has d + 1 integer coordinates, of sum 0. It is known by one number, the sum of its first d coordinates times
:data:`_FACTORS`, modulo 2^64. So the number of a neighbour is that of the vertex plus a constant. Two of M vertices get
the same number with a chance of about M^2 / 2^65, which is 1 in 10 million for the largest pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pdstore.runs.compiled import compiled

__all__ = ["Lattice"]

_FACTORS = np.array(
    [0x1E3779B97F4A7C15, 0x42B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x56E8FEB86659FD93, 0x20761D6478BD642F]
)
"""Odd numbers without a pattern, one per dimension."""
_FEWEST_BITS = 14
_CHUNK = 1024

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lattice:
    """The lattice of N points in d dimensions, with M vertices.

    The filter is normalised as ``D^-1/2 K D^-1/2``, where K is the Gaussian filter and D holds the sums of its rows.

    Attributes:
        vertices: (N, d + 1) uint32, the vertices around each point, 0..M − 1.
        weights: (N, d + 1) float32, their shares of the point, times D^-1/2.
        neighbours: (d + 1, M, 2) uint32, the two neighbours of each vertex along each axis; M where there is none.
        sums: (N,) float32, the filter of 1 at each point.
    """

    vertices: Numbers
    weights: Floats
    neighbours: Numbers
    sums: Floats

    @classmethod
    def of(cls, points: Floats) -> Lattice:
        """The lattice of points, in units of the Gaussian's standard deviation.

        Args:
            points: (d, N) float32 with 1 <= d <= 5. Points of more than 10^6 run together in float32.

        Cost: O(N d^2) time; 8 (d + 1) bytes per point and 8 (d + 2) bytes per vertex.
        """
        dimensions = len(points)
        deviation = math.sqrt(2 / 3) * (dimensions + 1)
        scale = np.array([deviation / math.sqrt((i + 2) * (i + 1)) for i in range(dimensions)], np.float32)
        factors = np.append(_FACTORS[:dimensions], 0)
        steps = factors.sum() - (dimensions + 1) * factors
        points = np.ascontiguousarray(points, np.float32)
        vertices, weights, neighbours = _built(points, scale, factors, steps)
        gain = cls._gain(dimensions)
        _normalise(vertices, weights, neighbours, gain)
        return cls(vertices, weights, neighbours, _filtered(vertices, weights, neighbours, gain))

    @property
    def gain(self) -> np.float32:
        """The factor of the blur that makes the filter's peak that of a Gaussian."""
        return self._gain(self.weights.shape[1] - 1)

    @staticmethod
    def _gain(dimensions: int) -> np.float32:
        return np.float32(1 / (1 + 2.0**-dimensions))


@compiled
def _slot(key: int | np.int64, bits: int) -> int:
    """The place of a vertex in a table of 2^bits."""
    return int(np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits)))


@compiled
def _table(keys: Longs, count: int, bits: int) -> npt.NDArray[np.int32]:
    """Open addressing: 2^bits places that hold vertices, or −1."""
    table = np.full(1 << bits, -1, np.int32)
    for vertex in range(count):
        place = _slot(keys[vertex], bits)
        while table[place] >= 0:
            place = (place + 1) & (len(table) - 1)
        table[place] = vertex
    return table


@compiled
def _find(table: npt.NDArray[np.int32], keys: Longs, key: int | np.int64, bits: int) -> int:
    """The place of ``key``, or the empty place where it belongs."""
    place = _slot(key, bits)
    while table[place] >= 0 and keys[table[place]] != key:
        place = (place + 1) & (len(table) - 1)
    return place


@compiled
def _simplices(points: Floats, scale: Floats, lifted: Floats, corner: Floats, rank: Ints) -> None:
    """The simplex around each of n points, one row per coordinate.

    Args:
        points: (d, n) float32.
        scale: (d,) float32.
        lifted: (d + 1, n) float32 gets the points' coordinates in the plane of sum 0.
        corner: (d + 1, n) float32 gets the nearest vertex whose coordinates are multiples of d + 1.
        rank: (d + 1, n) int32 gets the place of each coordinate in the order of the distances from there.
    """
    axes, size = lifted.shape
    for p in range(size):
        corner[0, p] = np.float32(0)
    for j in range(axes - 1, 0, -1):
        for p in range(size):
            value = points[j - 1, p] * scale[j - 1]
            lifted[j, p] = corner[0, p] - np.float32(j) * value
            corner[0, p] += value
    excess = np.zeros(size, np.int32)
    for i in range(axes):
        for p in range(size):
            lifted[i, p] = lifted[i, p] if i else corner[0, p]
            nearest = np.rint(lifted[i, p] * np.float32(1 / axes))
            excess[p] += np.int32(nearest)
            corner[i, p] = nearest * np.float32(axes)
    rank[:] = 0
    for i in range(axes):
        for j in range(i + 1, axes):
            for p in range(size):
                is_less = np.int32(lifted[i, p] - corner[i, p] < lifted[j, p] - corner[j, p])
                rank[i, p] += is_less
                rank[j, p] += np.int32(1) - is_less
    for i in range(axes):
        for p in range(size):
            # Rounding may leave the plane; the coordinates that were rounded farthest bring it back.
            order = rank[i, p] + excess[p]
            turns = np.floor(np.float32(order) / np.float32(axes))
            rank[i, p] = order - np.int32(turns) * np.int32(axes)
            corner[i, p] -= turns * np.float32(axes)


@compiled
def _built(points: Floats, scale: Floats, factors: Longs, steps: Longs) -> tuple[Numbers, Floats, Numbers]:
    """Vertices, weights that are not normalised yet, and neighbours."""
    axes, bits, count = len(factors), _FEWEST_BITS, 0
    vertices = np.empty((points.shape[1], axes), np.uint32)
    weights = np.empty((points.shape[1], axes), np.float32)
    keys = np.empty(1 << (bits - 1), np.int64)
    table = _table(keys, 0, bits)
    lifted, corner = np.empty((axes, _CHUNK), np.float32), np.empty((axes, _CHUNK), np.float32)
    rank, axis, share = np.empty((axes, _CHUNK), np.int32), np.empty(axes, np.int64), np.empty(axes + 1, np.float32)
    for point in range(points.shape[1]):
        n = point % _CHUNK
        if n == 0:
            size = min(_CHUNK, points.shape[1] - point)
            _simplices(points[:, point : point + size], scale, lifted[:, :size], corner[:, :size], rank[:, :size])
        for i in range(axes + 1):
            share[i] = 0
        key = np.int64(0)
        for i in range(axes):
            place = axes - 1 - rank[i, n]
            axis[place] = i
            rest = (lifted[i, n] - corner[i, n]) * np.float32(1 / axes)
            share[place] += rest
            share[place + 1] -= rest
            key += np.int64(corner[i, n]) * factors[i]
        share[0] += np.float32(1) + share[axes]
        for i in range(axes):
            slot = _find(table, keys, key, bits)
            if table[slot] < 0:
                if count == len(keys):
                    bits += 1
                    keys = np.concatenate((keys, np.empty(count, np.int64)))
                    table = _table(keys, count, bits)
                    slot = _find(table, keys, key, bits)
                keys[count] = key
                table[slot] = count
                count += 1
            vertices[point, i] = table[slot]
            weights[point, i] = share[i]
            key += steps[axis[i]]
    return vertices, weights, _neighbours(table, keys[:count], bits, steps)


@compiled
def _neighbours(table: npt.NDArray[np.int32], keys: Longs, bits: int, steps: Longs) -> Numbers:
    """(d + 1, M, 2) uint32."""
    found = np.full((len(steps), len(keys), 2), len(keys), np.uint32)
    for axis, step in enumerate(steps):
        for vertex in range(len(keys)):
            other = table[_find(table, keys, keys[vertex] + step, bits)]
            if other >= 0:
                found[axis, vertex, 0] = other
                found[axis, other, 1] = vertex
    return found


@compiled
def _filtered(vertices: Numbers, weights: Floats, neighbours: Numbers, gain: np.float32) -> Floats:
    """(N,) float32: the filter of 1 at every point."""
    count = neighbours.shape[1]
    values, blurred = np.zeros(count + 1, np.float32), np.zeros(count + 1, np.float32)
    for point in range(len(vertices)):
        for i in range(vertices.shape[1]):
            values[vertices[point, i]] += weights[point, i]
    for axis in range(len(neighbours)):
        for vertex in range(count):
            before, after = neighbours[axis, vertex]
            blurred[vertex] = values[vertex] + np.float32(0.5) * (values[before] + values[after])
        values, blurred = blurred, values
    found = np.zeros(len(vertices), np.float32)
    for point in range(len(vertices)):
        for i in range(vertices.shape[1]):
            found[point] += weights[point, i] * values[vertices[point, i]]
        found[point] *= gain
    return found


@compiled
def _normalise(vertices: Numbers, weights: Floats, neighbours: Numbers, gain: np.float32) -> None:
    """Multiply every weight by D^-1/2 of its point."""
    sums = _filtered(vertices, weights, neighbours, gain)
    for point in range(len(vertices)):
        factor = np.float32(1 / math.sqrt(max(sums[point], np.float32(1e-20))))
        for i in range(weights.shape[1]):
            weights[point, i] *= factor
