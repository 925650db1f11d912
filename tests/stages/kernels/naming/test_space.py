"""The linear space in which segments are compared."""

from __future__ import annotations

import numpy as np
import pytest

from stages.kernels.naming.space import fit_space, inputs


def _data(count: int = 500) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(count, 6)) * [10, 5, 2, 1, 0.1, 0.01], rng.normal(size=(count, 5)) * 3], 1)


@pytest.mark.parametrize("whiten", [0, 3])
@pytest.mark.parametrize("place", [0, 0.5])
def test_scores_rise_as_distances_fall(whiten: int, place: float) -> None:
    """A cluster's linear score is minus the squared distance in the space, up to a number per segment."""
    data = _data()
    space = fit_space(data, whiten=whiten, place=place)
    points = space.points(data)
    weights, bias = space.scorers(points[:4])
    scores = data @ weights.T + bias
    distances = np.square(points[:, None] - points[:4]).sum(2)
    gap = scores + distances
    np.testing.assert_allclose(gap, np.repeat(gap[:, :1], 4, 1), rtol=1e-4, atol=1e-3)


def test_whitened_components_have_one_variance() -> None:
    """Of many segments each kept component has about 1, each place the square of its weight."""
    spread = fit_space(_data(), whiten=3, place=0.5).points(_data()).std(0)
    np.testing.assert_allclose(spread, [1] * 3 + [0.5] * 5, rtol=0.05)


def test_few_segments_do_not_blow_up_small_variances() -> None:
    """With as many components as segments, the last ones are kept below a variance of 1."""
    few = _data(6)
    points = fit_space(few, whiten=6, place=0).points(few)
    assert points.shape[1] <= 5 and points.std(0)[-1] < 0.2 and np.isfinite(points).all()


def test_inputs_are_centred_by_object_and_seen_from_either_side() -> None:
    """Each object's mean feature is subtracted; a mirrored object has the same inputs."""
    features = np.array([[1, 0], [3, 0], [9, 9]], np.float32)
    places = np.array([[-1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [0, 0, 0, 0, 0]], np.float32)
    found = inputs(features, places, [0, 0, 1], normalize=False, centre=True)
    assert found[:, :2].tolist() == [[-1, 0], [1, 0], [0, 0]]
    mirrored = inputs(features, places * [-1, 1, 1, 1, 1], [0, 0, 1], normalize=False, centre=True)
    assert found.tolist() == mirrored.tolist() and found[0, 2] == 1 and places[0, 0] == -1
    lengths = np.linalg.norm(inputs(features, places, [0, 0, 1], normalize=True, centre=False)[:, :2], axis=1)
    np.testing.assert_allclose(lengths, 1)
