"""Matching the segments of an object with clusters."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stages.kernels.naming.matching import affinities, match, match_each, repeats


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_matching_has_the_largest_sum(count: int, seed: int) -> None:
    """No other choice of different clusters scores more."""
    scores = np.random.default_rng(seed).normal(size=(count, 4))
    found = match(scores, np.zeros(4, bool))
    rows = np.arange(count)
    best = max(scores[rows, list(p)].sum() for p in permutations(range(4), count))
    assert len(set(found.tolist())) == count and np.isclose(scores[rows, found].sum(), best)


def test_a_cluster_that_repeats_takes_several() -> None:
    """Two legs are both legs; without that, the less likely one becomes something else."""
    scores = np.array([[5, 0, -9], [4, 1, -9], [0, 3, -9]])
    assert match(scores, [True, False, False]).tolist() == [0, 0, 1]
    assert match(scores, [False] * 3).tolist() == [0, 2, 1]


def test_segments_beyond_the_clusters_choose_freely() -> None:
    """With more segments than clusters, those that are left have their best one."""
    assert match([[5.0, 0], [4, 1], [3, 0]], [False, False]).tolist() == [0, 1, 0]
    assert match(np.zeros((0, 3)), [False] * 3).tolist() == []


def test_objects_are_matched_one_by_one() -> None:
    """A cluster that is taken in one object is free in the next."""
    scores = np.array([[2, 1], [3, 0], [1, 0]], np.float32)
    assert match_each(scores, np.array([0, 0, 1]), np.zeros(2, bool)).tolist() == [1, 0, 0]
    assert match_each(scores[:0], np.zeros(0, np.int64), np.zeros(2, bool)).tolist() == []


def test_how_often_a_cluster_repeats() -> None:
    """Of the objects that have cluster 0, half have it twice; nobody has cluster 2."""
    found = repeats(np.array([0, 0, 1, 0, 1]), np.array([0, 0, 0, 1, 1]), 3)
    assert found.tolist() == [0.5, 0, 0]


def test_affinities_are_shares_of_what_is_left() -> None:
    """A segment whose second best cluster was left for it is as sure of it as if the first did not exist."""
    scores = np.log([[0.9, 0.05, 0.05], [0.6, 0.3, 0.1]])
    found = affinities(scores, np.array([0, 1]), np.zeros(3, bool))
    np.testing.assert_allclose(found, [[0.9 / 0.95, 0, 0], [0, 0.75, 0]], rtol=1e-5)
    again = affinities(scores, np.array([0, 1]), np.array([True, False, False]))
    np.testing.assert_allclose(again[1], [0, 0.3, 0], rtol=1e-5)
