"""Ranking: clusters of proposals, affinities, and the labels made from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pdstore import runs
from pdstore.masks import decode, encode
from stages.kernels.clustering.kmeans import Metric
from stages.kernels.ranking import RankedParts, TooFewPoints, affinity, cluster, rank_parts
from tests.stages import dense_ranking


def ranked(masks: np.ndarray, scores: Any, affinities: Any, **settings: Any) -> tuple[RankedParts, np.ndarray]:
    """The parts, and their masks decoded."""
    size = masks.shape[1:]
    outline = settings.pop("outline", None)
    whole = None if outline is None else runs.read(encode(outline.reshape(1, *size)), *size)
    parts = rank_parts(runs.read(encode(masks), *size), scores, affinities, outline=whole, **settings)
    return parts, decode(parts.rle, *size)


masks_and_scores = st.integers(0, 6).flatmap(
    lambda n: st.tuples(
        hnp.arrays(bool, (n, 5, 6)),
        hnp.arrays(np.float32, n, elements=st.floats(0, 1, width=32, allow_subnormal=False)),
        hnp.arrays(np.float32, (n, 3), elements=st.floats(0.0625, 1, width=32)),
    )
)


@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_clusters_of_separate_clouds(metric: Metric) -> None:
    """Clouds in different directions become clusters with their sizes and spread, whatever the metric."""
    rng = np.random.default_rng(0)
    centres = np.eye(3, 8, dtype=np.float32) * 10
    points = np.repeat(centres, [20, 30, 50], 0) + rng.normal(size=(100, 8)).astype(np.float32) * 0.01
    found = cluster(points, 3, metric, seed=0)
    order = np.argsort(found.counts)
    assert found.counts[order].tolist() == [20, 30, 50]
    np.testing.assert_allclose(found.centroids[order], centres, atol=0.02)
    assert np.all(found.within < 0.1)
    best = affinity(points, found.centroids, metric).argmax(1)
    assert np.array_equal(np.bincount(best), found.counts)


def test_within_is_the_mean_distance() -> None:
    """Two points of one cluster that are 2 apart have a mean distance of 1 from its centroid."""
    found = cluster([[0.0, 0.0], [2.0, 0.0]], 1, "l2")
    assert found.counts.tolist() == [2]
    assert found.within == pytest.approx([1.0])
    assert (found.centroids.dtype, found.counts.dtype, found.within.dtype) == (np.float32, np.int64, np.float32)


def test_normalized_features_lose_their_length() -> None:
    """With normalisation, points in the same direction coincide; half precision is accepted."""
    points = np.array([[1, 0], [50, 0], [0, 1], [0, 70]], np.float16)
    found = cluster(points, 2, "l2", normalize=True)
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1, atol=1e-5)
    assert found.counts.tolist() == [2, 2]


def test_too_few_points() -> None:
    """Having fewer distinct features than clusters is an error with both counts, never a random centroid."""
    with pytest.raises(TooFewPoints, match=r"at least 3 distinct points.*2 distinct of 4"):
        cluster([[0.0], [0.0], [1.0], [1.0]], 3)
    with pytest.raises(TooFewPoints, match="0 distinct of 0"):
        cluster(np.zeros((0, 4)), 3)


def test_affinity_is_a_softmax() -> None:
    """l2: softmax over minus squared distance; dot: over the product."""
    points, centroids = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 0.0]])
    l2, dot = np.exp([0.0, -1.0]), np.exp([1.0, 0.0])
    np.testing.assert_allclose(affinity(points, centroids, "l2")[0], l2 / l2.sum(), rtol=1e-5)
    np.testing.assert_allclose(affinity(points, centroids, "dot")[0], dot / dot.sum(), rtol=1e-5)
    assert affinity(np.zeros((0, 2)), centroids).shape == (0, 2)


def test_affinity_of_huge_features_is_finite() -> None:
    """Products beyond the range of exp give 0 and 1, not NaN."""
    rows = affinity(np.full((2, 4), 1e4), np.eye(4) * 1e3, "dot")
    assert np.all(np.isfinite(rows))


@given(masks_and_scores)
def test_ranked_parts_do_not_overlap(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """With one label per pixel, parts are disjoint, not empty, and of different clusters; areas count their pixels."""
    masks, scores, affinities = drawn
    parts, stack = ranked(masks, scores, affinities)
    assert stack.sum(0).max(initial=0) <= 1
    assert len(set(parts.clusters.tolist())) == len(parts.clusters)
    assert np.array_equal(parts.areas, stack.sum((1, 2)))
    assert np.all(parts.areas > 0)
    np.testing.assert_allclose(parts.area_ratios, parts.areas / 30)
    covered = masks[scores > 0].any(0)
    assert np.array_equal(stack.any(0), covered)


@given(masks_and_scores, st.data())
def test_labels_equal_those_of_painted_masks(drawn: tuple[np.ndarray, np.ndarray, np.ndarray], data: Any) -> None:
    """Every result is that of the pair-by-pair formulation on pixels, to the last bit; equal scores too."""
    masks, scores, affinities = drawn
    if data.draw(st.booleans()):
        scores, affinities = np.round(scores, 1), np.round(affinities, 1)
    settings = {
        "top": data.draw(st.sampled_from([1, 4, 200])),
        "min_score": data.draw(st.sampled_from([0.0, 0.3])),
        "min_area_ratio": data.draw(st.sampled_from([0.0, 0.1])),
        "outline": data.draw(st.none() | hnp.arrays(bool, (5, 6))),
        "one_label_a_pixel": data.draw(st.booleans()),
    }
    expected = dense_ranking.rank_parts(masks, scores, affinities, **settings)
    parts, stack = ranked(masks, scores, affinities, **settings)
    assert list(parts.rle) == list(encode(expected.masks)) and np.array_equal(stack, expected.masks)
    for name in ("clusters", "scores", "areas", "area_ratios"):
        found, wanted = getattr(parts, name), getattr(expected, name)
        assert (found.dtype, found.tolist()) == (wanted.dtype, wanted.tolist()), name


def strip(*columns: int) -> np.ndarray:
    mask = np.zeros((1, 10), bool)
    mask[0, list(columns)] = True
    return mask


def test_proposals_of_one_cluster_merge() -> None:
    """Two proposals that are nearest to the same cluster become one part, with the better score."""
    masks = np.stack([strip(0, 1), strip(4, 5), strip(8)])
    parts, stack = ranked(masks, [0.9, 0.8, 0.5], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    assert parts.clusters.tolist() == [0, 1]
    assert stack[0].tolist() == strip(0, 1, 4, 5).tolist()
    assert parts.scores == pytest.approx([0.81, 0.35])


def test_thresholds_come_after_the_pixels_are_shared_out() -> None:
    """Scores and area ratios must exceed the limits; ratios relate to the object, and parts are cut to it."""
    masks = np.stack([strip(0, 1, 2, 3), strip(3, 4), strip(9)])
    affinities = np.eye(3)
    kept, _ = ranked(masks, [0.9, 0.8, 0.2], affinities, min_score=0.5)
    assert kept.clusters.tolist() == [0, 1]
    outline = strip(0, 1, 2, 3, 4)
    inside, _ = ranked(masks, [0.9, 0.8, 0.2], affinities, outline=outline, min_area_ratio=0.5)
    assert inside.clusters.tolist() == [0]
    assert inside.area_ratios == pytest.approx([0.8])


def test_only_the_top_pairs_count() -> None:
    """With top=1 only the best (proposal, cluster) pair remains."""
    masks = np.stack([strip(0), strip(1)])
    parts, stack = ranked(masks, [0.5, 0.9], [[1.0, 0.0], [0.4, 0.6]], top=1)
    assert parts.clusters.tolist() == [1]
    assert stack[0].tolist() == strip(1).tolist()


def test_overlapping_labels_keep_every_pair() -> None:
    """Without one label per pixel, a proposal counts for each cluster whose pair exceeds min_score."""
    masks = np.stack([strip(0, 1), strip(1, 2)])
    parts, stack = ranked(masks, [1.0, 1.0], [[0.6, 0.4], [0.1, 0.9]], min_score=0.3, one_label_a_pixel=False)
    assert parts.clusters.tolist() == [0, 1]
    assert stack[1].tolist() == strip(0, 1, 2).tolist()
