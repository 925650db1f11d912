"""Groups of one object, merged in pairs: a tree from many small groups to few.

Source: Ward 1963 for the cost of a merge. Dividing finely and merging what is alike and shares a border is how UnSAM
(Wang et al., NeurIPS 2024) makes masks of several sizes. The groups of a smaller k are always unions of those of a
larger one, because each k is a cut of the same tree.

Shapes: n groups, C channels, (H, W) image resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.kernels.clustering.grouping import Grouping

__all__ = ["merge_groups", "shared_borders"]

Doubles = npt.NDArray[np.float64]


@dataclass(eq=False)
class _Tree:
    """The groups that are left: their pixels, mean features and shared borders, which merges change in place."""

    areas: Doubles
    means: Doubles
    borders: Doubles
    boundary: float

    def __post_init__(self) -> None:
        self.left = np.flatnonzero(self.areas)

    def cheapest(self) -> tuple[float, int, int]:
        """The cost of the next merge, and its two groups: of equal costs the first, and the lower number first."""
        areas, means, borders = self.areas[self.left], self.means[self.left], self.borders[np.ix_(self.left, self.left)]
        apart = np.square(means[:, None] - means).sum(2)
        lost = areas[:, None] * areas / (areas[:, None] + areas) * apart
        whole = borders.sum(1)
        shares = borders / np.maximum(np.minimum(whole[:, None], whole), 1)
        lost = np.where(np.tri(len(areas), dtype=bool), np.inf, lost * (1 - self.boundary * shares))
        first, second = np.unravel_index(int(lost.argmin()), lost.shape)
        return float(lost[first, second]), int(self.left[first]), int(self.left[second])

    def merge(self, kept: int, gone: int) -> None:
        total = self.areas[kept] + self.areas[gone]
        self.means[kept] = (self.areas[kept] * self.means[kept] + self.areas[gone] * self.means[gone]) / total
        self.areas[kept] = total
        self.borders[kept] += self.borders[gone]
        self.borders[:, kept] += self.borders[:, gone]
        self.borders[kept, kept] = 0
        self.left = self.left[self.left != gone]


def merge_groups(groups: Grouping, k: int, *, k_min: int = 0, max_cost: float = 0.0, boundary: float = 0.0) -> Grouping:
    """Merge the groups of an object to k, and on to ``k_min`` while that costs little.

    The next merge is always the cheapest. A merge of groups a and b costs n_a n_b / (n_a + n_b) · |mean_a − mean_b|² ·
    (1 − ``boundary`` · s), where n counts pixels and s is the border that both share ÷ the shorter of their two whole
    borders with other groups. Without a border it is what the merge adds to the squared distances of pixels to the
    means of their groups.

    Args:
        groups: n groups; those without a pixel are left out.
        k_min: least number of groups; 0 is k.
        max_cost: below k, a merge costs at most this share of the sum of squared distances between ``groups``, that is,
            of Σ n |mean − mean of the object|².
        boundary: 0..1.

    Returns:
        The groups that are left, numbered as their first members were, with their mean features.

    Cost: O(n³ · C) after one pass over the pixels.
    """
    count = len(groups.features)
    areas = np.bincount(groups.labels[groups.labels >= 0], minlength=count).astype(np.float64)
    means = groups.features.astype(np.float64)
    tree = _Tree(areas, means, shared_borders(groups.labels, count).astype(np.float64), boundary)
    middle = areas @ means / max(areas.sum(), 1)
    limit = max_cost * float(areas @ np.square(means - middle).sum(1))
    owner = np.arange(count)
    while len(tree.left) > max(k_min or k, 1):
        cost, kept, gone = tree.cheapest()
        if len(tree.left) <= k and cost > limit:
            break
        tree.merge(kept, gone)
        owner[owner == gone] = kept
    number = np.full(count + 1, -1, np.int16)
    number[:-1][np.isin(owner, tree.left)] = np.searchsorted(tree.left, owner[np.isin(owner, tree.left)])
    return Grouping(number[groups.labels], tree.means[tree.left].astype(np.float32))


def shared_borders(labels: npt.NDArray[np.integer], count: int) -> npt.NDArray[np.int64]:
    """(count, count) int64, symmetric: pairs of neighbouring pixels, side by side, that belong to two groups.

    Args:
        labels: (H, W) int, 0..count − 1; −1 is no group.
    """
    found = np.zeros((count, count), np.int64)
    for one, other in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
        meet = (one >= 0) & (other >= 0) & (one != other)
        found += np.bincount(one[meet].astype(np.int64) * count + other[meet], minlength=count**2).reshape(count, count)
    return found + found.T
