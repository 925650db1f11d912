"""Memory that runs out as an error that says what to do."""

from __future__ import annotations

import errno
import resource

import numpy as np
import pytest
import torch

from pdstore.errors import UsageError
from stages.run.no_memory import no_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_what_lacks_memory_says_so(error: Exception) -> None:
    """The name of the error is kept, and the sentence says what to change."""
    text = str(no_memory(error))
    assert f"there is not enough memory ({type(error).__name__}: " in text and "Use a smaller batch_size" in text


def test_real_allocations_that_fail_are_recognised() -> None:
    """Those of NumPy and of torch on the CPU."""
    for allocate in (lambda: np.empty(1 << 60, np.uint8), lambda: torch.empty(1 << 60, dtype=torch.uint8)):
        with pytest.raises((MemoryError, RuntimeError)) as caught:
            allocate()
        assert "not enough memory" in str(no_memory(caught.value))


def test_a_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit on addresses the sentence says how large it is, and how to raise it."""
    assert "ulimit" not in str(no_memory(MemoryError("x")))
    monkeypatch.setattr(resource, "getrlimit", lambda which: (3_000_000_000, resource.RLIM_INFINITY))
    assert "3.0 GB of addresses (ulimit -v)" in str(no_memory(MemoryError("x")))


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("shapes differ"), UsageError("out of memory", "x")])
def test_other_errors_are_others(error: Exception) -> None:
    """So are errors of the program that speak of memory."""
    assert no_memory(error) is None
