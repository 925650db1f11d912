from __future__ import annotations

import subprocess
import sys
import weakref

import pytest
import torch

from stages.device.memory import give_back, torch_with_gpu

CUDA = torch.device("cuda")


def test_torch_is_not_loaded_for_it() -> None:
    """Nor does giving back need it."""
    code = "import sys, stages.device.memory as m; m.give_back(); print(m.torch_with_gpu(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["None", "False"]


def test_what_holds_itself_is_given_back() -> None:
    """A cycle, such as that of an error and its traceback."""

    class Held:
        own: Held

    held = Held()
    held.own, seen = held, weakref.ref(held)
    del held
    give_back()
    assert seen() is None


@pytest.mark.gpu
def test_memory_of_a_gpu_is_given_back() -> None:
    """What no tensor holds any more is free for others."""
    assert torch_with_gpu() is torch
    values = torch.ones(1 << 26, device=CUDA)
    del values
    give_back()
    assert torch.cuda.memory_reserved() - torch.cuda.memory_allocated() < 1 << 26
