"""Points and pixels whose groups are known: which of them stay together if they are clustered again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stages.kernels.clustering.kmeans import TooFewPoints
from stages.kernels.clustering.stability import Method, agreement, of_class, of_object

THREE = Method(3, "l2", 0, 3)


def blobs(num_groups: int, size: int = 60, noise: float = 0.05) -> np.ndarray:
    """(num_groups · size, 8): groups far apart."""
    rng = np.random.default_rng(1)
    middles = 4 * np.eye(8)[:num_groups]
    return np.concatenate([middle + noise * rng.standard_normal((size, 8)) for middle in middles]).astype(np.float32)


def striped(height: int, width: int, num_stripes: int, noise: float = 0.02) -> np.ndarray:
    """(8, height, width): vertical stripes, each with features of its own."""
    rng = np.random.default_rng(2)
    stripe = np.arange(width) * num_stripes // width
    maps = 4 * np.eye(8)[:, stripe][:, None].repeat(height, 1)
    return (maps + noise * rng.standard_normal(maps.shape)).astype(np.float32)


def test_agreement_is_the_adjusted_rand_index() -> None:
    """Numbers of clusters do not matter; the value of a small example is that of the formula."""
    first = [0, 0, 0, 1, 1, 1]
    assert agreement(first, [7, 7, 7, 2, 2, 2]) == 1
    # Pairs that are together in both: 1 + 1 = 2; in the first 6, in the second 3, of 15.
    expected = 6 * 3 / 15
    assert agreement(first, [0, 0, 1, 1, 2, 2]) == pytest.approx((2 - expected) / ((6 + 3) / 2 - expected))
    assert abs(agreement(np.arange(3000) % 3, np.random.default_rng(0).integers(0, 3, 3000))) < 0.01


def test_clusters_that_are_there_are_found_again() -> None:
    """From another seed and in each half of the points; another k has to divide a cluster, or to join two."""
    found = of_class(blobs(3), False, THREE)
    assert found["seeds"] == found["halves"] == 1 and found["silhouette"] > 0.9
    assert 0.5 < found["k"] < 1


def test_clusters_that_are_not_there_are_not_found_again() -> None:
    """Points without any groups are divided differently by each half of them."""
    noise = np.random.default_rng(3).standard_normal((180, 8))
    found = of_class(noise, False, Method(3, "l2", 0, 1))
    assert found["seeds"] < 0.6 and found["halves"] < 0.6 and found["silhouette"] < 0.2


def test_points_are_scaled_to_unit_length_if_asked() -> None:
    """Two directions at many distances are two clusters only then."""
    lengths = np.linspace(1, 30, 80)[:, None]
    points = np.concatenate([lengths * [1.0, 0.1], lengths * [0.1, 1.0]])
    two = Method(2, "l2", 0, 5)
    assert of_class(points, True, two)["silhouette"] > 0.99 > of_class(points, False, two)["silhouette"] + 0.2


def test_what_has_too_few_points_is_not_measured() -> None:
    """With exactly k points there are no halves and no larger k; with fewer there is nothing at all."""
    found = of_class(np.eye(3), False, THREE)
    assert math.isnan(found["halves"]) and found["seeds"] == 1
    assert not math.isnan(found["k"])
    with pytest.raises(TooFewPoints):
        of_class(np.eye(2), False, THREE)
    # With k 2 there is no smaller k.
    assert math.isnan(of_class(np.eye(2), False, Method(2, "l2", 0, 1))["k"])


def test_parts_that_are_there_are_found_in_the_mirror() -> None:
    """Mirrored back, each stripe of the object is the same part, though the stripes are not symmetric."""
    maps, mask = striped(12, 24, 3), np.zeros((24, 48), bool)
    mask[2:-2, 6:-2] = True
    found = of_object(maps, maps[:, :, ::-1], mask, THREE)
    assert found["seeds"] == pytest.approx(1) and found["mirror"] == pytest.approx(1)
    assert found["silhouette"] > 0.9 and found["k"] < 1


def test_parts_that_the_mirror_image_does_not_have_are_seen() -> None:
    """Features that look elsewhere in the mirror image give other parts there, and nothing else changes."""
    maps, mask = striped(12, 24, 3), np.ones((24, 48), bool)
    turned = striped(12, 12, 3).transpose(0, 2, 1).repeat(2, 2)
    found = of_object(maps, turned, mask, THREE)
    assert found["mirror"] < 0.2 and found["seeds"] == pytest.approx(1)


def test_an_object_with_too_few_cells_is_refused() -> None:
    """Two different cells are no three parts."""
    with pytest.raises(TooFewPoints):
        of_object(np.eye(8)[:, None, :2], np.eye(8)[:, None, :2], np.ones((4, 8), bool), THREE)
