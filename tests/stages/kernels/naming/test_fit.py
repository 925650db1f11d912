"""Clusters by feature and place."""

from __future__ import annotations

import numpy as np
import pytest

from stages.kernels.clustering.kmeans import TooFewPoints
from stages.kernels.naming.fit import How, fit


def scene(seed: int = 0, num: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Objects of three segments, as joined vectors, and the true part of each.

    Parts 0 and 1 have features apart, part 2 that of part 1 but another place. A strong feature varies from object to
    object and says nothing of parts.
    """
    rng = np.random.default_rng(seed)
    part = np.tile(np.arange(3), num)
    features = rng.normal(size=(3 * num, 4)) * 0.1
    features[:, 0] += np.repeat(rng.normal(size=num) * 5, 3)
    features[:, 1] += part == 0
    places = rng.normal(size=(3 * num, 5)) * 0.2
    places[:, 1] += 2.0 * (part == 2)
    return np.concatenate([features, places, part[:, None] == 0], 1).astype(np.float16), part


def agrees(found: np.ndarray, part: np.ndarray) -> float:
    """The share of segments whose cluster's most frequent part is theirs."""
    return sum(np.bincount(part[found == c]).max() for c in np.unique(found)) / len(part)


def test_each_setting_finds_what_it_is_for() -> None:
    """Raw features see the object; centring or whitening see parts 0 and 1, and places tell 1 from 2."""
    vectors, part = scene()
    plain = fit(vectors, How(k=3, n_init=5))[1].clusters(vectors)
    whole = fit(vectors, How(k=3, n_init=5, centre=True, whiten=2, place=1))[1].clusters(vectors)
    assert agrees(plain, part) < 0.6 and agrees(whole, part) > 0.95


def test_the_rows_of_a_class_describe_its_clusters() -> None:
    """Sizes add up, a centroid is the mean feature of its members, and other segments get the same clusters."""
    vectors, part = scene()
    clusters, scorer = fit(vectors, How(k=3, n_init=5, centre=True, whiten=2, place=1, matching=True))
    found = scorer.clusters(vectors)
    assert clusters.counts.sum() == len(part) and clusters.counts.tolist() == np.bincount(found).tolist()
    for number in range(3):
        np.testing.assert_allclose(
            clusters.centroids[number], vectors[found == number, :4].astype(float).mean(0), atol=1e-3
        )
    assert agrees(scorer.clusters(scene(1)[0]), part) > 0.95


def test_matching_keeps_parts_of_one_object_apart() -> None:
    """Every object has three different parts, though places are too noisy to tell them one by one."""
    vectors, part = scene()
    vectors[:, 5] += np.random.default_rng(3).normal(size=len(vectors)) * 0.8
    how = How(k=3, n_init=5, centre=True, whiten=2, place=1)
    free, matched = (
        fit(vectors, How(**{**how.__dict__, "matching": matching}))[1].clusters(vectors) for matching in (False, True)
    )
    assert all(len(set(row)) == 3 for row in matched.reshape(-1, 3).tolist())
    assert agrees(matched, part) > agrees(free, part)


def test_the_number_of_clusters_is_chosen_and_merged() -> None:
    """Of up to six clusters, three are stable; of six that are cut from three, those that never meet are merged."""
    vectors, part = scene()
    vectors[:, [4, 6, 7, 8]] = 0  # numbers that say nothing
    how = {"n_init": 5, "centre": True, "whiten": 1, "place": 1.0}
    chosen, scorer = fit(vectors, How(k=6, k_min=2, **how))
    assert len(chosen.counts) == 3 and agrees(scorer.clusters(vectors), part) > 0.95
    joint, scorer = fit(vectors, How(k=6, merge=0.9, **how))
    assert 3 <= len(joint.counts) < 6 and agrees(scorer.clusters(vectors), part) > 0.95


def test_the_same_segments_give_the_same_bytes() -> None:
    """And too few of them give an error, never made up clusters."""
    vectors, _ = scene()
    how = How(k=4, centre=True, whiten=2, place=1, matching=True)
    assert fit(vectors, how)[1].weights.tobytes() == fit(vectors, how)[1].weights.tobytes()
    with pytest.raises(TooFewPoints, match="at least 4 distinct points"):
        fit(vectors[:3], how)
