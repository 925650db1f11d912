"""Warping in torch, compared with warping on the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pdstore import masks, runs
from stages.kernels.warping.device_warp import places_of, recolour_on, seen_on, warp_on
from stages.kernels.warping.views import View
from stages.kernels.warping.warp import crop, recolour, turned, warp

CPU = torch.device("cpu")


def view_of(rng: np.random.Generator, turn: float) -> View:
    step, angle = rng.uniform(0.3, 3.5), rng.uniform(-turn, turn)
    linear = step * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    start = rng.uniform(-20, 20, 2)
    if rng.random() < 0.5:
        linear[0] *= -1
        start[0] += 80
    return View(slice(5, 75), slice(8, 88), np.column_stack([linear, start]), 50)


@pytest.mark.parametrize("turn", [0.0, 1.0])
def test_pictures_are_those_of_the_host(turn: float) -> None:
    """Colours differ by rounding, and grey lies at the same pixels."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        view, pixels = view_of(rng, turn), rng.integers(0, 120, (80, 100, 3), dtype=np.uint8)
        part, expected = crop(pixels, (1.0, 1.0), view), np.empty((50, 50, 3), np.uint8)
        warp(part, view, expected)
        found = warp_on(torch.from_numpy(part.pixels.copy()), part.to_pixels, places_of(view, CPU))
        assert found.shape == (3, 50, 50) and found.dtype == torch.uint8
        difference = np.abs(found.permute(1, 2, 0).numpy().astype(int) - expected)
        assert np.array_equal((expected == 128).all(-1), (found == 128).all(0).numpy()) and difference.max() <= 1


@pytest.mark.parametrize("turn", [0.0, 1.0])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_masks_are_those_of_the_host(turn: float, count: int) -> None:
    """Every pixel is equal, with masks that are empty, full or noise."""
    rng = np.random.default_rng(count)
    for _ in range(20):
        view, stack = view_of(rng, turn), rng.random((count, 80, 100)) < rng.choice([0, 0.01, 0.5, 1], (count, 1, 1))
        read = runs.read(masks.encode(stack), 80, 100)
        found = seen_on(read, places_of(view, CPU))
        expected = turned(stack[:, view.rows, view.columns], view) if turn else runs.decode_at(read, *view.grid)
        assert found.shape == (count, 50, 50) and np.array_equal(found.numpy(), expected)


def test_colours_are_those_of_the_host() -> None:
    """They are mixed, rounded and clipped alike, up to a level."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    mixed, contrast = rng.normal(0.4, 0.8, (3, 3)), rng.normal(0, 0.5, 3)
    found = recolour_on(torch.from_numpy(image.copy()).permute(2, 0, 1), mixed, contrast)
    recolour(image, mixed, contrast)
    assert found.dtype == torch.uint8
    assert np.abs(found.permute(1, 2, 0).numpy().astype(int) - image).max() <= 1


@pytest.mark.gpu
@pytest.mark.parametrize("turn", [0.0, 1.0])
def test_a_gpu_does_the_same(turn: float) -> None:
    """On CUDA, masks are equal to those of the CPU and colours differ by a level at most."""
    rng, gpu = np.random.default_rng(0), torch.device("cuda")
    for _ in range(10):
        view, pixels = view_of(rng, turn), rng.integers(0, 256, (80, 100, 3), dtype=np.uint8)
        read = runs.read(masks.encode(rng.random((4, 80, 100)) < 0.5), 80, 100)
        part = crop(pixels, (1.0, 1.0), view)
        images, seen = [], []
        for device in (CPU, gpu):
            places = places_of(view, device)
            images.append(warp_on(torch.from_numpy(part.pixels.copy()).to(device), part.to_pixels, places).cpu().int())
            seen.append(seen_on(read, places).cpu())
        assert torch.equal(*seen) and int((images[0] - images[1]).abs().max()) <= 1
