"""Maps of one object: means inside its mask, and its own frame of places; arrays and tensors alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.kernels.clustering.object_maps import object_maps, place_in_box


def case(seed: int = 0, cells: tuple[int, int] = (9, 12)) -> tuple[np.ndarray, np.ndarray]:
    """Maps, and a mask of four pixels per cell along each side, with a hole and a ragged border."""
    rng = np.random.default_rng(seed)
    inside = rng.random(cells) < 0.7
    inside[:, :2] = False
    return rng.normal(size=(3, *cells)).astype(np.float32), np.kron(inside, np.ones((4, 4))).astype(bool)


@pytest.mark.parametrize("sigma", [0.6, 1.5])
def test_a_cell_is_the_mean_of_the_objects_cells_around_it(sigma: float) -> None:
    """The weights are a Gaussian's, cut off at four widths along each axis; the background has none."""
    maps, mask = case()
    found = object_maps(maps, mask, blur=sigma)
    inside = mask[::4, ::4]
    rows, columns = np.nonzero(inside)
    for y, x in np.ndindex(inside.shape):
        apart = np.abs(rows - y), np.abs(columns - x)
        weights = np.exp(-(apart[0] ** 2 + apart[1] ** 2) / (2 * sigma**2)) * (np.maximum(*apart) <= 4 * sigma)
        if weights.sum() > 1e-3:
            expected = (maps[:, rows, columns] * weights).sum(1) / weights.sum()
            np.testing.assert_allclose(found[:, y, x], expected, atol=1e-5)


def test_the_background_does_not_reach_the_object() -> None:
    """Other features outside of the object change none inside, and far from it features stay as they are."""
    maps, mask = case()
    mask[:, 24:] = False
    inside = mask[::4, ::4]
    other = np.where(inside, maps, 100).astype(np.float32)
    found = object_maps(other, mask, blur=1.0)
    np.testing.assert_array_equal(found[:, inside], object_maps(maps, mask, blur=1.0)[:, inside])
    assert (found[:, :, -1] == 100).all()


@pytest.mark.parametrize("settings", [{"blur": 1.2}, {"position": 0.5}, {"blur": 0.8, "position": 2.0}])
def test_tensors_give_what_arrays_give(settings: dict[str, float]) -> None:
    """The same channels and values, where the tensor is."""
    for seed in range(3):
        maps, mask = case(seed, (7 + seed, 10))
        found = object_maps(torch.from_numpy(maps), mask, **settings)
        expected = object_maps(maps, mask, **settings)
        assert isinstance(found, torch.Tensor) and isinstance(expected, np.ndarray)
        assert found.dtype == torch.float32 and expected.dtype == np.float32
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_without_settings_maps_stay_themselves() -> None:
    """Nothing is copied."""
    maps, mask = case()
    assert object_maps(maps, mask) is maps


def test_places_are_in_long_sides_of_the_objects_box() -> None:
    """The longer side runs from 0 to 1, the other to its share of it, wherever the object lies in the picture."""
    mask = np.zeros((40, 60), bool)
    mask[10:30, 15:55] = True
    y, x = place_in_box(mask, 20, 30)
    np.testing.assert_allclose(y[:, 0], (np.arange(20) * 2 + 1 - 10) / 40, atol=1e-6)
    np.testing.assert_allclose(x[0], (np.arange(30) * 2 + 1 - 15) / 40, atol=1e-6)
    moved = place_in_box(np.roll(mask, (4, -6), (0, 1)), 20, 30)
    np.testing.assert_allclose(moved[:, 2:, :-3], np.stack([y, x])[:, :-2, 3:], atol=1e-6)
    assert not place_in_box(np.zeros((4, 4), bool), 2, 2).any()
