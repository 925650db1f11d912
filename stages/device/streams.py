"""What a GPU computes for some threads while another one runs a network on it.

They do not queue behind the network: each has a stream of its own, and goes first. So the thread of the network never
waits for it, and the network's queue does not run empty.
"""

from __future__ import annotations

import threading
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
    current, own = torch.cuda.current_stream(device), _streams(device)
    before = ready or current.record_event()
    if own.has(current):
        current.wait_event(before)
        yield
        return
    stream = own.take()
    try:
        stream.wait_event(before)
        with torch.cuda.stream(stream):
            yield
    finally:
        own.give_back(stream)


class _Streams:
    """As many streams of a device as are in use at once: what one has allocated, another one cannot use."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._lock = device, threading.Lock()
        self._free: list[torch.cuda.Stream] = []
        self._taken: list[torch.cuda.Stream] = []

    def has(self, stream: torch.cuda.Stream) -> bool:
        """Whether it is one of those that are in use."""
        with self._lock:
            return stream in self._taken

    def take(self) -> torch.cuda.Stream:
        """One for this thread alone."""
        with self._lock:
            stream = self._free.pop() if self._free else torch.cuda.Stream(self._device, priority=-1)
            self._taken.append(stream)
        return stream

    def give_back(self, stream: torch.cuda.Stream) -> None:
        """Let other threads have it."""
        with self._lock:
            self._taken.remove(stream)
            self._free.append(stream)


_streams = lru_cache(_Streams)
