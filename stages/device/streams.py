"""What a GPU computes for one thread while another one runs a network on it.

It does not queue behind the network: it has a stream of its own, and goes first. So the thread of the network never
waits for it, and the network's queue does not run empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

import torch

__all__ = ["aside", "beside", "moment"]

Answer = TypeVar("Answer")


def aside(device: torch.device, work: Callable[[], Answer]) -> Callable[[], Answer]:
    """``work``, for the thread behind a network to call; a GPU computes it beside what it is given after this.

    On other devices it is done at once, and the call only gives its result: a second thread that calls torch would take
    the processor from the network.

    Args:
        work: reads tensors that ``device`` has been told to compute; its results are on the host in the end.
    """
    if device.type != "cuda":
        answer = work()
        return lambda: answer
    ready = moment(device)

    def later() -> Answer:
        with beside(device, ready):
            return work()

    return later


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
