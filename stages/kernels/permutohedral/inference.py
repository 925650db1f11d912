"""Mean-field inference of a fully connected CRF with Potts labels.

Source: Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011,
algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pdstore.runs.compiled import compiled
from stages.kernels.permutohedral import lanes
from stages.kernels.permutohedral.lattice import Lattice

__all__ = ["mean_field"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.uint32]
_CHUNK = 1024
"""Pixels whose chances are computed together: they stay in the processor's nearest cache."""
_NEVER = -1e30


def mean_field(
    labels: npt.NDArray[np.int32],
    num_labels: int,
    gt_prob: float,
    kernels: Sequence[tuple[Lattice, float]],
    iterations: int,
) -> Floats:
    """The chance of each label at each pixel.

    Label 0 is never filtered: its message is what those of the other labels leave of the filter of 1, because the
    chances of a pixel add up to 1.

    Args:
        labels: (N,) int32, 0..num_labels − 1, which are right with the chance ``gt_prob``; other labels share the rest.
        num_labels: at least 2.
        kernels: lattices of the N pixels, and their Potts weights.
        iterations: at least 1.

    Returns:
        (N, num_labels) float32.

    Cost: O(N num_labels iterations) time; 8 (num_labels + 3) bytes per pixel and vertex at most.
    """
    width = -(-(num_labels - 1) // lanes.NUM_LANES) * lanes.NUM_LANES
    right, wrong = math.log(gt_prob), math.log((1 - gt_prob) / (num_labels - 1))
    evidence = np.full((num_labels, lanes.NUM_LANES + width), wrong, np.float32)
    evidence[np.arange(num_labels), lanes.NUM_LANES - 1 + np.arange(num_labels)] = right
    evidence[:, lanes.NUM_LANES - 1 + num_labels :] = _NEVER
    chances = np.empty((len(labels), width), np.float32)
    messages = np.zeros_like(chances)
    sums = np.zeros(len(labels), np.float32)
    for lattice, weight in kernels:
        sums += np.float32(weight) * lattice.sums
    values = [np.empty((lattice.neighbours.shape[1] + 1, width), np.float32) for lattice, _ in kernels]
    others = [np.empty_like(array) for array in values]
    first = np.zeros_like(sums)
    for iteration in range(iterations + 1):
        _chances(labels, evidence, messages, sums if iteration else first, chances)
        if iteration == iterations:
            break
        messages[:] = 0
        for number, (lattice, weight) in enumerate(kernels):
            arrays = lattice.vertices, lattice.weights, lattice.neighbours, values[number], others[number]
            _filter(chances, *arrays, np.float32(weight) * lattice.gain, messages)
    return _all_labels(chances, num_labels)


@compiled
def _all_labels(chances: Floats, num_labels: int) -> Floats:
    """(N, width) chances of the labels 1..width -> (N, num_labels) chances of the labels 0..num_labels − 1."""
    found = np.empty((len(chances), num_labels), np.float32)
    for pixel in range(len(chances)):
        rest = np.float32(1)
        for label in range(1, num_labels):
            found[pixel, label] = chances[pixel, label - 1]
            rest -= found[pixel, label]
        found[pixel, 0] = max(rest, np.float32(0))
    return found


@compiled
def _exponentials(numbers: Floats) -> None:
    """Replace numbers <= 0 by their exponentials, at least 2^-126, with a relative error of about 2e-7.

    2^n by its bits, times the Taylor series of 2^f for −1/2 <= f <= 1/2. Only additions and multiplications, so every
    processor gives the same.
    """
    for i in range(len(numbers)):
        power = max(numbers[i] * np.float32(1.44269504), np.float32(-126))
        whole = np.floor(power + np.float32(0.5))
        rest = (power - whole) * np.float32(0.69314718)
        series = np.float32(1 / 720)
        series = series * rest + np.float32(1 / 120)
        series = series * rest + np.float32(1 / 24)
        series = series * rest + np.float32(1 / 6)
        series = series * rest + np.float32(1 / 2)
        series = series * rest + np.float32(1)
        series = series * rest + np.float32(1)
        numbers[i] = series * np.int32((np.int32(whole) + np.int32(127)) << 23).view(np.float32)


@compiled
def _chances(labels: Ints, evidence: Floats, messages: Floats, sums: Floats, chances: Floats) -> None:
    """Softmax over the labels of each pixel: (N, width) messages -> (N, width) chances of the labels 1..width.

    Row l of ``evidence`` (num_labels, 4 + width) holds what label l says for the labels 0 to width, from its fourth
    column on.
    """
    groups = messages.shape[1] // lanes.NUM_LANES
    rest = np.empty(_CHUNK, np.float32)
    flat = chances.reshape(-1)
    for start in range(0, len(labels), _CHUNK):
        stop = min(start + _CHUNK, len(labels))
        for pixel in range(start, stop):
            label, left = labels[pixel], sums[pixel]
            most = np.float32(_NEVER)
            for group in range(groups):
                message = lanes.load(messages, pixel, group)
                left -= lanes.total(message)
                message = lanes.add(message, lanes.load(evidence, label, group + 1))
                most = max(most, lanes.largest(message))
                lanes.store(chances, pixel, group, message)
            left += evidence[label, lanes.NUM_LANES - 1]
            most = max(most, left)
            rest[pixel - start] = left - most
            for group in range(groups):
                lanes.store(chances, pixel, group, lanes.add(lanes.load(chances, pixel, group), lanes.splat(-most)))
        _exponentials(flat[start * groups * lanes.NUM_LANES : stop * groups * lanes.NUM_LANES])
        _exponentials(rest[: stop - start])
        for pixel in range(start, stop):
            total = rest[pixel - start]
            for group in range(groups):
                total += lanes.total(lanes.load(chances, pixel, group))
            for group in range(groups):
                chance = lanes.scale(np.float32(1) / total, lanes.load(chances, pixel, group))
                lanes.store(chances, pixel, group, chance)


@compiled
def _filter(
    chances: Floats,
    vertices: Numbers,
    weights: Floats,
    neighbours: Numbers,
    values: Floats,
    blurred: Floats,
    gain: np.float32,
    messages: Floats,
) -> None:
    """Add ``gain`` times the filtered chances to the messages."""
    groups = chances.shape[1] // lanes.NUM_LANES
    values[:] = 0
    blurred[-1] = 0
    for pixel in range(len(chances)):
        for i in range(vertices.shape[1]):
            vertex, weight = vertices[pixel, i], weights[pixel, i]
            for group in range(groups):
                more = lanes.scale(weight, lanes.load(chances, pixel, group))
                lanes.store(values, vertex, group, lanes.add(lanes.load(values, vertex, group), more))
    for axis in range(neighbours.shape[0]):
        for vertex in range(neighbours.shape[1]):
            before, after = neighbours[axis, vertex, 0], neighbours[axis, vertex, 1]
            for group in range(groups):
                both = lanes.add(lanes.load(values, before, group), lanes.load(values, after, group))
                own = lanes.load(values, vertex, group)
                lanes.store(blurred, vertex, group, lanes.add(own, lanes.scale(np.float32(0.5), both)))
        values, blurred = blurred, values
    for pixel in range(len(chances)):
        for group in range(groups):
            total = lanes.splat(np.float32(0))
            for i in range(vertices.shape[1]):
                vertex, weight = vertices[pixel, i], weights[pixel, i]
                total = lanes.add(total, lanes.scale(weight, lanes.load(values, vertex, group)))
            total = lanes.add(lanes.load(messages, pixel, group), lanes.scale(gain, total))
            lanes.store(messages, pixel, group, total)
