from __future__ import annotations

import pytest
import torch

from schemas.training import NetworkSettings
from stages.models.network import build
from stages.models.precision import autocast, lower_weights, training_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_network_computes_in_the_precision(precision: str) -> None:
    """A product of matrices has its type, and a sum of products in the wide range of a norm stays float32."""
    layer = torch.nn.Linear(4, 4)
    with torch.no_grad(), autocast(CPU, precision):
        product = layer(torch.ones(2, 4))
    assert product.dtype == getattr(torch, precision) and layer.weight.dtype == torch.float32


def test_float32_holds_in_a_lower_context_too() -> None:
    """Whoever asks for float32 gets it."""
    with torch.no_grad(), autocast(CPU, "bfloat16"), autocast(CPU, "float32"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("num_objects", [0, 2])
def test_weights_that_are_rounded_before_give_the_same_bits(device: str, precision: str, num_objects: int) -> None:
    """Class logits, masks, features and feature maps of a whole network, with a plain and a class-specific head."""
    network = build(NetworkSettings(preset="tiny"), 3, num_objects, seed=1).eval().to(device)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images, classes = images.to(device), torch.tensor([0, 1], device=device) if num_objects else None

    def answers() -> list[torch.Tensor]:
        with torch.no_grad(), autocast(torch.device(device), precision):
            said = network(images, classes)
            return [said.class_logits, said.mask_logits, said.features, *network.feature_maps(images)]

    before = answers()
    lower_weights(network, precision)
    assert network.model.transformer_module.queries_features.weight.dtype == torch.float32
    assert any(weight.dtype == getattr(torch, precision) for weight in network.parameters())
    assert all(torch.equal(one, other) for one, other in zip(before, answers(), strict=True))


def test_training_on_the_cpu_is_in_float32() -> None:
    """Mixed precision is for GPUs that compute in bfloat16."""
    assert training_precision(CPU, amp=True) == training_precision(CPU, amp=False) == "float32"


@pytest.mark.gpu
def test_training_on_a_gpu_is_in_bfloat16_if_asked_for() -> None:
    """A GPU that only emulates bfloat16 trains in float32."""
    cuda = torch.device("cuda")
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    assert training_precision(cuda, amp=True) == ("bfloat16" if native else "float32")
    assert training_precision(cuda, amp=False) == "float32"
