"""The size of an image in the network, and predictions in original pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pdstore.errors import PdError
from schemas.training import NetworkSettings
from stages.models.inference import Inference, network_size
from stages.models.network import build
from stages.models.network_files import save_network
from tests.stages.models.answers import every_mask

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network for 3 parts of 2 object classes."""
    save_network(build(SMALL, 3, num_objects=2, seed=1), tmp_path / "network")
    return tmp_path / "network"


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_sides_are_multiples_of_32_and_keep_their_aspect() -> None:
    """The long side is the given one, or that of the image."""
    assert network_size(480, 640, 640) == (480, 640)
    assert network_size(375, 500, 640) == (480, 640)
    assert network_size(100, 300, 0) == (96, 288)


def test_no_image_is_too_small_for_the_norms() -> None:
    """A thin image has a single row of cells, and a tiny one has four cells."""
    assert network_size(3, 640, 640) == (32, 640)
    assert network_size(1, 1, 0) == network_size(40, 40, 0) == (64, 64)


def test_predictions_are_in_original_pixels(folder: Path) -> None:
    """Class probabilities sum to 1, masks are probabilities at the size of each picture, features are vectors."""
    inference = Inference(folder, "cpu", 96)
    pictures = [picture(64, 96), picture(32, 48, 1)]
    assert inference.shape(pictures[0]) == inference.shape(pictures[1]) == (64, 96)
    for pixels, found in zip(pictures, inference.queries(pictures, [0, 1]), strict=True):
        assert found.classes.shape == (5, 4) and np.allclose(found.classes.sum(1), 1, atol=1e-5)
        stack = every_mask(found)
        assert stack.shape == (5, *pixels.shape[:2]) and 0 <= stack.min() <= stack.max() <= 1
        assert found.features.shape == (5, 32)
        assert {a.dtype for a in (found.classes, stack, found.features)} == {np.dtype(np.float32)}


def test_an_image_of_the_networks_size_is_not_resampled(folder: Path) -> None:
    """The results are those of the network on the pixels themselves, in a batch as alone."""
    inference = Inference(folder, "cpu", 0)
    pictures = [picture(64, 96), picture(64, 96, 1)]
    both = inference.queries(pictures, [1, 0])
    for pixels, object_class, found in zip(pictures, (1, 0), both, strict=True):
        with torch.inference_mode():
            output = inference.network(torch.from_numpy(pixels).permute(2, 0, 1)[None], torch.tensor([object_class]))
        assert np.allclose(found.classes, output.class_logits[0].softmax(-1).numpy(), atol=1e-5)
        assert np.allclose(found.features, output.features[0].numpy(), atol=1e-4)


def test_flipped_masks_are_mirrored_back(folder: Path) -> None:
    """Looking at the mirror image of a mirrored picture gives the mirrored masks of the picture."""
    inference, pixels = Inference(folder, "cpu", 0), picture(64, 96)
    (plain,) = inference.queries([pixels], [1])
    (flipped,) = inference.queries([pixels[:, ::-1].copy()], [1], flip=True)
    assert np.allclose(every_mask(flipped), every_mask(plain)[:, :, ::-1], atol=1e-5)
    assert np.allclose(flipped.classes, plain.classes, atol=1e-5)


def test_maps_cover_the_picture_at_their_stride(folder: Path) -> None:
    """Only the chosen maps are returned, in the chosen order; ``scale`` enlarges the input."""
    inference = Inference(folder, "cpu", 0)
    pictures = [picture(64, 96), picture(64, 96, 1)]
    first, second = inference.maps(pictures, [2, 0], 1.0)
    assert [m.shape for m in first] == [m.shape for m in second] == [(16, 4, 6), (8, 16, 24)]
    assert not np.allclose(first[1], second[1])
    assert inference.maps(pictures, [2], 2.0)[0][0].shape == (16, 8, 12)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_lower_precision_gives_nearly_the_same(folder: Path, precision: str) -> None:
    """Results are float32 numbers that differ a little from those in float32: predictions and feature maps alike."""
    exact, rough = Inference(folder, "cpu", 0), Inference(folder, "cpu", 0, precision)  # type: ignore[arg-type]
    one, other = (inference.queries([picture(64, 96)], [0])[0] for inference in (exact, rough))
    for name in ("classes", "masks", "features"):
        left, right = ((every_mask(f) if name == "masks" else getattr(f, name)) for f in (one, other))
        assert right.dtype == np.float32 and 0 < np.abs(left - right).max() < 0.2
    fine, coarse = (np.asarray(inference.maps([picture(64, 96)], [1], 1.0)[0][0]) for inference in (exact, rough))
    assert coarse.dtype == np.float32 and 0 < np.abs(fine - coarse).max() < 0.2 * np.abs(fine).max()


@pytest.mark.parametrize(("precision", "fix"), [("float32", "its training diverged"), ("float16", "Set precision=bfl")])
def test_numbers_that_are_not_finite_are_refused(folder: Path, precision: str, fix: str) -> None:
    """They would silently lead to no proposals at all; in float16 a larger range may help."""
    inference = Inference(folder, "cpu", 0, precision)  # type: ignore[arg-type]
    torch.nn.init.constant_(inference.network.class_predictor.bias, float("nan"))
    with pytest.raises(PdError, match=rf"not finite \(precision {precision}\)\. .*{fix}"):
        inference.queries([picture(64, 96)], [0])


def test_a_network_in_memory_can_be_used_and_trained_afterwards() -> None:
    """Nothing that is kept between calls keeps a gradient from being computed."""
    network = build(NetworkSettings(preset="tiny"), 2)
    Inference(network, "cpu", 0).queries([picture(64, 96)])
    found = network(torch.from_numpy(picture(64, 96)).permute(2, 0, 1)[None])
    found.mask_logits.mean().backward()
    assert any(parameter.grad is not None for parameter in network.parameters())
