"""The devices on which the same tests run: the CPU always, and a GPU if tests marked ``gpu`` are asked for."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """``cpu`` or ``cuda``, where products keep all bits of float32: what differs then is the order of sums."""
    name = str(request.param)
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return name
