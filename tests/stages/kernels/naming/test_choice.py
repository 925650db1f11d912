"""The number of clusters, and clusters that are one part."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from stages.kernels.clustering.kmeans import closeness, kmeans
from stages.kernels.clustering.stability import agreement
from stages.kernels.naming.choice import merged, stable_k


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30))
def test_agreement_is_the_adjusted_rand_index(pairs: list[tuple[int, int]]) -> None:
    """As scikit-learn has it."""
    first, second = zip(*pairs, strict=True)
    assert np.isclose(agreement(first, second), adjusted_rand_score(first, second))


def test_the_number_that_halves_agree_on_is_found() -> None:
    """Of three clear clusters, three are found again in the other half, and more are not."""
    rng = np.random.default_rng(0)
    member, groups = np.tile(np.arange(3), 60), np.repeat(np.arange(60), 3)
    points = (rng.normal(size=(180, 4)) + 12 * np.eye(3, 4)[member]).astype(np.float32)

    def fit(marked: np.ndarray, k: int) -> np.ndarray:
        return closeness(points, kmeans(points[marked], k, 0, 5), "l2").argmax(1)

    assert stable_k(groups, range(2, 7), fit, seed=0) == 3


def test_equal_agreement_takes_the_larger_number() -> None:
    """Ties go to more clusters: two that are one part can still be merged."""
    assert stable_k(np.arange(8), [2, 3, 4], lambda marked, k: np.arange(8) % 2, seed=0) == 4


def _three(never_meet: bool) -> tuple[np.ndarray, ...]:
    """Clusters 0 and 1 look alike, 2 is far away; 0 and 1 are in different objects, or together in each."""
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [0.5, 0], [20, 0]], np.float32)
    pairs = [(0, 2), (1, 2)] * 20 if never_meet else [(0, 1)] * 20 + [(0, 2), (1, 2)] * 5
    member, groups = np.array(pairs).ravel(), np.repeat(np.arange(len(pairs)), 2)
    return (centres[member] + rng.normal(size=(len(member), 2))).astype(np.float32), centres, member, groups


def test_clusters_that_look_alike_and_never_meet_are_one_part() -> None:
    """They keep one number; the far one is another part, and two that meet in objects stay two."""
    assert merged(*_three(never_meet=True), rarely=0.5).tolist() == [0, 0, 1]
    assert merged(*_three(never_meet=False), rarely=0.5).tolist() == [0, 1, 2]
