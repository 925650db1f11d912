"""Scorers, and the file that holds them."""

from __future__ import annotations

import numpy as np
import pytest

from stages.kernels.naming.scorer import Scorer, pack, unpack


def _scorer(matching: bool = False) -> Scorer:
    """Two features and a place; cluster 0 has two rows, and is for large values of either feature."""
    weights = np.zeros((3, 7), np.float32)
    weights[0, 0] = weights[1, 1] = 1
    bias = np.array([0, 0, 0.5], np.float32)
    shares = np.array([0.2, 0], np.float32)
    return Scorer(weights, bias, np.array([0, 0, 1]), shares, normalize=False, centre=False, matching=matching)


def test_a_cluster_scores_by_the_best_of_its_rows() -> None:
    """Either row is enough; affinities are a softmax over clusters."""
    features, places = np.array([[3, 0], [0, 3], [0, 0]]), np.zeros((3, 5))
    assert _scorer().scores(features, places).tolist() == [[3, 0.5], [3, 0.5], [0, 0.5]]
    found = _scorer().affinities(features, places)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
    assert found.argmax(1).tolist() == [0, 0, 1]


def test_matched_segments_have_different_clusters() -> None:
    """Of two segments that would both be cluster 0, the surer one is."""
    found = _scorer(matching=True).affinities([[3, 0], [1, 0]], np.zeros((2, 5)))
    assert found.argmax(1).tolist() == [0, 1] and found[0, 1] == found[1, 0] == 0


def test_joined_vectors_are_named_object_by_object() -> None:
    """The same segments as one object or as two."""
    vectors = np.zeros((2, 8), np.float16)
    vectors[:, 0], vectors[0, -1] = [3, 1], 1
    assert _scorer(matching=True).clusters(vectors).tolist() == [0, 1]
    vectors[1, -1] = 1
    assert _scorer(matching=True).clusters(vectors).tolist() == [0, 0]


def test_a_file_of_scorers_is_read_back() -> None:
    """Every class, in equal bytes each time; another file is refused."""
    one, data = _scorer(matching=True), pack({7: _scorer(matching=True), 3: _scorer(matching=True)})
    found = unpack(data)
    assert sorted(found) == [3, 7] and data == pack({7: one, 3: one})
    for name in ("weights", "bias", "parts", "shares"):
        np.testing.assert_array_equal(getattr(found[7], name), getattr(one, name))
    assert (found[3].normalize, found[3].centre, found[3].matching) == (False, False, True)
    assert found[3].num_features == 2
    with pytest.raises(ValueError, match="not a file of scorers"):
        unpack(b"nothing")
