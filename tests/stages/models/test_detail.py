"""The detail branch: mask features at stride 2."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from schemas.training import NetworkSettings
from stages.models.architecture import config
from stages.models.detail import DetailedPixels

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)


@pytest.fixture
def module() -> DetailedPixels:
    torch.manual_seed(0)
    return DetailedPixels(config(SMALL, 3), 8).eval()


def images(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(seed))


def test_mask_features_lie_at_stride_2(module: DetailedPixels) -> None:
    """The base class has them at stride 4; the number of channels and the encoder's maps do not change."""
    with torch.no_grad():
        fine, coarse = module(images()), super(DetailedPixels, module).forward(images())
    width = coarse.decoder_last_hidden_state.shape[1]
    assert coarse.decoder_last_hidden_state.shape == (2, width, 16, 24)
    assert fine.decoder_last_hidden_state.shape == (2, width, 32, 48)
    assert torch.equal(fine.encoder_last_hidden_state, coarse.encoder_last_hidden_state)


def test_without_the_branch_the_features_are_the_upsampled_ones(module: DetailedPixels) -> None:
    """The branch adds a correction: if its last layer is zero, only the interpolated deep features are left."""
    last = module.fuse[-1]
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
        fine = module(images()).decoder_last_hidden_state
        coarse = super(DetailedPixels, module).forward(images()).decoder_last_hidden_state
    expected = nn.functional.interpolate(coarse, size=(32, 48), mode="bilinear", align_corners=False)
    assert torch.allclose(fine, expected)


def test_the_branch_learns(module: DetailedPixels) -> None:
    """All its weights get a gradient from the mask features."""
    module.train()(images()).decoder_last_hidden_state.square().mean().backward()
    for branch in (module.detail, module.reduce, module.fuse):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in branch.parameters())
