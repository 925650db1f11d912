"""The class-specific head."""

from __future__ import annotations

import torch

from stages.models.head import SlicedHead


def test_a_sliced_head_gives_the_rows_of_the_full_head() -> None:
    """The logits of an image are those of its own object class, and "no object" is shared."""
    torch.manual_seed(0)
    head = SlicedHead(8, num_objects=4, num_parts=3)
    features = torch.randn(2, 5, 8)
    logits = head(features, torch.tensor([3, 1]))
    full = torch.einsum("bqd,opd->boqp", features, head.weight) + head.bias[None, :, None]
    assert torch.allclose(logits[0, :, :3], full[0, 3], atol=1e-6)
    assert torch.allclose(logits[1, :, :3], full[1, 1], atol=1e-6)
    assert torch.allclose(logits[..., 3:], head.no_object(features))


def test_only_the_own_slice_learns() -> None:
    """The gradient of an image's logits is zero for the rows of other object classes."""
    head = SlicedHead(8, num_objects=4, num_parts=3)
    head(torch.randn(1, 5, 8), torch.tensor([2])).sum().backward()
    assert head.weight.grad is not None
    assert head.weight.grad.abs().sum((1, 2)).nonzero().flatten().tolist() == [2]


def test_the_shape_does_not_depend_on_the_number_of_objects() -> None:
    """Each query gets one logit per part and one for "no object", for 2 object classes or for 2,000."""
    for num_objects in (2, 2000):
        head = SlicedHead(8, num_objects, num_parts=3)
        assert head.weight.shape == (num_objects, 3, 8) and head.bias.shape == (num_objects, 3)
        assert head(torch.randn(2, 5, 8), torch.tensor([1, 0])).shape == (2, 5, 4)
