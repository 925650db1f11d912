from __future__ import annotations

import pytest
import torch

from stages.models.precision import autocast, training_precision

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
