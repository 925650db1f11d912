from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stages.device import passes
from stages.device.passes import Passes

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_elsewhere_a_pass_is_a_plain_call() -> None:
    """On a CPU the function is called each time, whatever its name."""
    run, calls = Passes(CPU, record=True), []

    def function(values: Tensor) -> tuple[Tensor, ...]:
        calls.append(values)
        return (values + 1,)

    with run.uploading():
        values = torch.arange(3)
    assert [run("name", function, values)[0].tolist() for _ in range(3)] == [[1, 2, 3]] * 3
    assert len(calls) == 3


@pytest.mark.gpu
@pytest.mark.parametrize("record", [False, True])
def test_passes_give_what_the_function_gives(record: bool) -> None:
    """In any order of shapes, with constants that are made inside, and with results that are read later."""
    run = Passes(CUDA, record=record)
    weight = torch.randn(16, 16, device=CUDA, generator=torch.Generator(CUDA).manual_seed(0))

    def function(values: Tensor) -> tuple[Tensor, ...]:
        scale = torch.tensor([[2.0, 3.0]], device=CUDA)
        return (values.float() @ weight).softmax(-1), values.flip(0) * scale.sum()

    found, expected = [], []
    for turn in range(8):
        with run.uploading():
            values = torch.full((4 + turn % 2, 16), turn, dtype=torch.uint8).to(CUDA)
        found.append(run("name", function, values))
        expected.append(function(values))
    torch.cuda.synchronize()
    for one, other in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert len(run._recorded) == (2 if record else 0)


@pytest.mark.gpu
def test_what_cannot_be_recorded_is_called(recwarn: pytest.WarningsRecorder) -> None:
    """A function that looks at numbers: a warning says so once, and its results are right."""
    run = Passes(CUDA, record=True)

    def function(values: Tensor) -> tuple[Tensor, ...]:
        return (values * values.sum().item(),)

    for turn in range(4):
        with run.uploading():
            values = torch.arange(3).to(CUDA) + turn
        assert torch.equal(run("name", function, values)[0], values * values.sum())
    assert [str(w.message)[:46] for w in recwarn] == ["The network's passes cannot be recorded, and ma"[:46]]


@pytest.mark.gpu
def test_recordings_that_are_not_used_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many are kept; a shape that comes back is recorded again."""
    monkeypatch.setattr(passes, "MOST", 2)
    run = Passes(CUDA, record=True)
    for turn in range(12):
        with run.uploading():
            values = torch.ones(1 + turn // 2 % 3, device=CUDA)
        assert run("name", lambda values: (values + 1,), values)[0].tolist() == [2.0] * len(values)
        assert len(run._recorded) <= 2
