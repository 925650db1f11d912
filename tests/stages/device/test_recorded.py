from __future__ import annotations

import pytest
import torch

from stages.device.recorded import Recorded
from stages.device.streams import beside, moment

CUDA = torch.device("cuda")


@pytest.mark.gpu
def test_a_recorded_function_gives_what_the_function_gives() -> None:
    """In the first call, in that which records it, and in later ones with what it gave before."""

    def step(values: torch.Tensor, count: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (values @ values.T).softmax(0) @ values + count, count + 1

    random = torch.Generator(CUDA).manual_seed(0)
    first = torch.randn(64, 16, device=CUDA, generator=random), torch.zeros((), device=CUDA)
    expected, found = first, first
    with beside(CUDA, moment(CUDA)):
        repeat = Recorded(step)
        for turn in range(5):
            expected, found = step(*expected), repeat(*found)
            assert torch.equal(found[0], expected[0]) and int(found[1]) == turn + 1
