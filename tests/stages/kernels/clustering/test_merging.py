"""The merge tree: against one that is computed pixel by pixel, and on groups whose merges are known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from stages.kernels.clustering.grouping import Grouping
from stages.kernels.clustering.merging import merge_groups, shared_borders


def random_groups(seed: int, count: int) -> Grouping:
    """Groups of 2 x 3 blocks in an object that leaves out a corner; one of them has no pixel."""
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, count - 1, (8, 9)), np.ones((2, 3))).astype(np.int16)
    labels[labels >= count // 2] += 1
    labels[:3, :5] = -1
    return Grouping(labels, rng.normal(size=(count, 5)).astype(np.float32))


def by_pixels(groups: Grouping, k: int, k_min: int, max_cost: float, boundary: float) -> np.ndarray:
    """The same labels, from sums over pixels in place of sums over groups."""
    pixels = groups.features.astype(np.float64)[groups.labels]
    labels = groups.labels.astype(int).copy()

    def spread(member: np.ndarray) -> float:
        return float(np.square(pixels[member] - pixels[member].mean(0)).sum())

    def border(one: np.ndarray, other: np.ndarray) -> int:
        sides = ((one[1:], other[:-1]), (one[:-1], other[1:]), (one[:, 1:], other[:, :-1]), (one[:, :-1], other[:, 1:]))
        return sum(int((a & b).sum()) for a, b in sides)

    limit = max_cost * spread(labels >= 0)
    while len(left := np.unique(labels[labels >= 0])) > max(k_min or k, 1):
        costs = {}
        for a, b in combinations(left.tolist(), 2):
            one, other, inside = labels == a, labels == b, labels >= 0
            whole = min(border(one, inside & ~one), border(other, inside & ~other))
            share = border(one, other) / max(whole, 1)
            costs[a, b] = (spread(one | other) - spread(one) - spread(other)) * (1 - boundary * share)
        cheapest = min(costs, key=lambda pair: costs[pair])
        if len(left) <= k and costs[cheapest] > limit:
            break
        labels[labels == cheapest[1]] = cheapest[0]
    return np.where(labels < 0, -1, np.searchsorted(np.unique(labels[labels >= 0]), labels))


@pytest.mark.parametrize("boundary", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("k", "k_min", "max_cost"), [(4, 0, 0.0), (1, 0, 0.0), (9, 2, 0.05), (9, 2, 0.3), (20, 1, 1.0)]
)
def test_the_tree_is_that_of_the_pixels(k: int, k_min: int, max_cost: float, boundary: float) -> None:
    """Costs from pixel counts, means and borders of groups lead to the merges that sums over pixels lead to."""
    for seed in range(4):
        groups = random_groups(seed, 9)
        found = merge_groups(groups, k, k_min=k_min, max_cost=max_cost, boundary=boundary)
        assert found.labels.dtype == np.int16 and found.features.dtype == np.float32
        assert np.array_equal(found.labels, by_pixels(groups, k, k_min, max_cost, boundary))
        for number, mean in enumerate(found.features):
            pixels = groups.features[groups.labels[found.labels == number]]
            np.testing.assert_allclose(mean, pixels.mean(0), atol=1e-5)


def test_fewer_segments_are_unions_of_more() -> None:
    """Two numbers of segments are two levels of one tree, whatever the seed."""
    for seed in range(5):
        groups = random_groups(seed, 12)
        fine, coarse = (merge_groups(groups, k, boundary=0.5).labels for k in (6, 3))
        pairs = {pair for pair in zip(fine.ravel().tolist(), coarse.ravel().tolist(), strict=True) if pair[0] >= 0}
        assert len(pairs) == 6 and len({pair[1] for pair in pairs}) == 3


def stripes(widths: tuple[int, ...], means: tuple[float, ...]) -> Grouping:
    """Vertical stripes, side by side, of one feature each."""
    row = np.repeat(np.arange(len(widths)), widths)
    return Grouping(np.tile(row, (10, 1)).astype(np.int16), np.array(means, np.float32)[:, None])


@pytest.mark.parametrize(("means", "expected"), [((0, 0.1, 5, 5.1), 2), ((0, 4, 8, 12), 4), ((0, 0.1, 5, 10), 3)])
def test_the_number_of_segments_follows_the_object(means: tuple[float, ...], expected: int) -> None:
    """Stripes that look alike are merged below k, and those that differ stay apart."""
    found = merge_groups(stripes((5, 5, 5, 5), means), 4, k_min=2, max_cost=0.02)
    assert len(found.features) == expected


def test_a_shared_border_decides_between_equal_features() -> None:
    """A stripe that is as much like its neighbour as like a distant one joins the neighbour if borders count."""
    groups = stripes((6, 6, 6), (0, 4, -4.0))
    ordered = Grouping(groups.labels, groups.features[[1, 0, 2]])
    assert np.unique(merge_groups(ordered, 2, boundary=1.0).labels).tolist() == [0, 1]
    far = stripes((4, 8, 4), (0, 2, 0.9))
    assert merge_groups(far, 2).labels[0, [0, 5, -1]].tolist() == [0, 1, 0]
    assert merge_groups(far, 2, boundary=1.0).labels[0, [0, 5, -1]].tolist() != [0, 1, 0]


def test_borders_are_counted_once() -> None:
    """Neighbouring pixels of two groups, in both directions; nothing meets what is outside of the object."""
    labels = np.array([[0, 0, 1], [2, -1, 1], [2, 2, 1]], np.int16)
    assert shared_borders(labels, 4).tolist() == [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
