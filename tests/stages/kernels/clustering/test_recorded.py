from __future__ import annotations

import pytest
import torch

from stages.kernels.clustering.recorded import Recorded, beside, moment

CUDA = torch.device("cuda")


def test_other_devices_are_never_behind() -> None:
    """On a CPU there is nothing to wait for."""
    cpu = torch.device("cpu")
    assert moment(cpu) is None
    with beside(cpu, None):
        assert torch.ones(3).sum() == 3


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


@pytest.mark.gpu
def test_work_does_not_wait_for_what_comes_after_its_moment() -> None:
    """It reads tensors that are ready, and its result is there while the default stream is still busy."""
    large = torch.ones(4096, 4096, device=CUDA)
    values = torch.arange(5, device=CUDA) + 1
    for turn in range(2):  # the first turn loads the kernels, for which the whole device is waited for
        ready = moment(CUDA)
        for _ in range(300):
            large = large @ large / 4096
        busy = moment(CUDA)
        assert ready is not None and busy is not None
        with beside(CUDA, ready):
            assert (2 * values).tolist() == [2, 4, 6, 8, 10]
        assert turn == 0 or not busy.query()
        torch.cuda.synchronize()
