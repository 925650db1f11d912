"""The silhouette of clusters."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from stages.kernels.silhouette import silhouettes


def clouds(rng: np.random.Generator, *sizes: int) -> tuple[np.ndarray, np.ndarray]:
    """(points, member): clouds along a line that overlap slightly."""
    member = np.repeat(np.arange(len(sizes)), sizes)
    return rng.normal(size=(len(member), 4)) + 3 * member[:, None], member


def test_whole_clusters_have_the_textbook_silhouette() -> None:
    """If all members are drawn, the value is the mean of scikit-learn's values over each cluster."""
    points, member = clouds(np.random.default_rng(0), 20, 7, 33)
    expected = [silhouette_samples(points, member)[member == number].mean() for number in range(3)]
    np.testing.assert_allclose(silhouettes(points, member, 3, seed=0), expected, rtol=1e-6)


def test_a_sample_stands_for_the_cluster() -> None:
    """64 of 2000 members give nearly the same mean, and the same seed gives the same bytes."""
    points, member = clouds(np.random.default_rng(1), 2000, 2000)
    whole = [silhouette_samples(points, member)[member == number].mean() for number in range(2)]
    drawn = silhouettes(points, member, 2, seed=3, sample=64)
    np.testing.assert_allclose(drawn, whole, atol=0.05)
    assert drawn.tobytes() == silhouettes(points, member, 2, seed=3, sample=64).tobytes()


def test_small_clusters_have_their_customary_values() -> None:
    """A single point gives 0, an empty cluster NaN, equal points in two clusters 0, and a single cluster NaN."""
    points = np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 9.0]])
    found = silhouettes(points, [0, 0, 2], 4, seed=0)
    assert found[0] > 0.9 and found[2] == 0 and np.isnan(found[[1, 3]]).all()
    assert silhouettes(np.zeros((4, 2)), [0, 0, 1, 1], 2, seed=0).tolist() == [0, 0]
    assert np.isnan(silhouettes(points, [1, 1, 1], 3, seed=0)).all()
    assert np.isnan(silhouettes(np.zeros((0, 2)), [], 3, seed=0)).all()


@pytest.mark.parametrize("gap", [0.0, 1e3])
def test_it_tells_clusters_that_are_apart_from_one_cut_in_two(gap: float) -> None:
    """Distant clouds have a value near 1; one cloud whose points are assigned at random has a value near 0."""
    rng = np.random.default_rng(2)
    points, member = rng.normal(size=(300, 6)), np.arange(300) % 2
    found = silhouettes(points + gap * member[:, None], member, 2, seed=0)
    assert (found > 0.98).all() if gap else (np.abs(found) < 0.05).all()
