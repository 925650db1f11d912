"""Many small kernels on a GPU while another thread runs a network on it.

Starting a kernel takes the host about ten microseconds, longer than many kernels run, and two threads that start
kernels wait for Python's lock in turns. So what is repeated is recorded and started as one (a CUDA graph). And what is
computed does not queue behind the network: it has a stream of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

__all__ = ["Recorded", "beside", "moment"]


def moment(device: torch.device) -> torch.cuda.Event | None:
    """When a GPU has computed what it has been given until now; None on other devices, which are never behind."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event


@contextmanager
def beside(device: torch.device, ready: torch.cuda.Event | None) -> Iterator[None]:
    """What is computed inside does not wait for what a GPU is given by other threads; it goes first.

    Its results must be on the host in the end: other streams do not wait for it.

    Args:
        ready: when the tensors that it reads are computed; by default, when all is that the device has been given.
    """
    if device.type != "cuda":
        yield
        return
    stream, current = _stream(device), torch.cuda.current_stream(device)
    stream.wait_event(ready or current.record_event())
    with torch.cuda.stream(stream):
        yield


@lru_cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    # One for all threads: what a stream has allocated, another one cannot use.
    return torch.cuda.Stream(device, priority=-1)


class Recorded:
    """A function of tensors on a GPU, on a stream other than the default one, that is called with the same shapes.

    What it returns is overwritten by the next call, in the order of the stream; it may be an argument of that call.

    Args:
        function: starts the same kernels in every call, and never looks at the numbers in a tensor.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function, self._calls = function, 0
        self._graph = torch.cuda.CUDAGraph()
        self._given: tuple[Tensor, ...] = ()
        self._found: Any = None

    def __call__(self, *given: Tensor) -> Any:
        self._calls += 1
        if self._calls == 1:
            # Libraries prepare themselves at their first use, which cannot be recorded.
            return self._function(*given)
        if self._calls == 2:
            self._given = tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in given)
            # Other threads go on using the device.
            self._graph.capture_begin(capture_error_mode="thread_local")
            try:
                self._found = self._function(*self._given)
            finally:
                self._graph.capture_end()
        for own, tensor in zip(self._given, given, strict=True):
            own.copy_(tensor)
        self._graph.replay()
        return self._found
